// Chunks of data by name, and the making of elements. Text only ever enters the page as text.

const chunks = new Map();
const arrivals = new Map();

window.vceval = (name, value) => {
  const arrive = arrivals.get(name);
  if (arrive) arrive(value);
};

// A chunk is a block of this page (--bundle) or a script beside it: from disk a browser reads nothing else.
const load = (name) => {
  if (!chunks.has(name)) {
    chunks.set(name, new Promise((resolve, reject) => {
      const block = document.getElementById(`data-${name}`);
      if (block) {
        resolve(JSON.parse(block.textContent));
        return;
      }
      const script = document.createElement("script");
      arrivals.set(name, resolve);
      script.src = `data/${name}.js`;
      script.onload = () => script.remove();
      script.onerror = () => {
        script.remove();
        chunks.delete(name);
        reject(new Error(`data/${name}.js is missing; it belongs beside this page`));
      };
      document.head.append(script);
    }));
  }
  return chunks.get(name);
};

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};

const minus = (text) => text.replace(/-/g, "−");
const counted = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many || `${one}s`}`;

// Do something once a part of the page comes near the screen.
const whenNear = (element, act) => {
  if (!("IntersectionObserver" in window)) {
    act();
    return;
  }
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      act();
    }
  }, {rootMargin: "600px"});
  observer.observe(element);
};

const about = JSON.parse(document.getElementById("data-about").textContent);
