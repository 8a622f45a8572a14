"use strict";
(() => {
  // One player at a time.
  document.addEventListener("play", (event) => {
    for (const player of document.querySelectorAll("audio")) {
      if (player !== event.target) player.pause();
    }
  }, true);

  const shown = document.getElementById("shown");
  if (!shown) return;
  const form = document.getElementById("filter");
  const pager = document.getElementById("pager");
  const further = document.getElementById("further");
  const size = Number(shown.dataset.size);
  // Samples in a template are inert: the browser makes no player until one is put on the page.
  const all = [...shown.children, ...(further ? further.content.children : [])];
  const first = shown.querySelector("thead");
  const labels = first ? [...first.querySelectorAll("th.num")].map((head) => head.textContent.trim()) : [];
  let found = all;
  let page = 0;

  const figures = (sample, column) =>
    [...sample.querySelectorAll("tr.system")]
      .map((row) => row.querySelectorAll("td.num")[column])
      .map((cell) => (cell ? parseFloat(cell.textContent.replace("−", "-")) : NaN))
      .filter((value) => !Number.isNaN(value));

  const flags = (sample) =>
    [...sample.querySelectorAll("tr.system .flags span")].map((mark) => mark.textContent);

  const show = () => {
    const part = found.slice(page * size, (page + 1) * size);
    for (const sample of part) {
      for (const row of sample.querySelectorAll("tbody tr")) {
        row.querySelectorAll("td.num").forEach((cell, index) => {
          if (cell.textContent) cell.dataset.label = labels[index] || "";
        });
      }
    }
    shown.replaceChildren(...part);
    const last = Math.max(1, Math.ceil(found.length / size));
    document.getElementById("found").textContent =
      (found.length === all.length ? "" : `${found.length} of `) + `${all.length} pair${all.length === 1 ? "" : "s"}`;
    if (pager) {
      pager.hidden = last < 2;
      pager.querySelector("span").textContent = `${page + 1} / ${last}`;
      const [back, on] = pager.querySelectorAll("button");
      back.disabled = page === 0;
      on.disabled = page >= last - 1;
    }
  };

  const select = () => {
    const value = (name) => (form.elements[name] ? form.elements[name].value : "");
    const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    found = all.filter((sample) => {
      if (value("direction") && sample.dataset.direction !== value("direction")) return false;
      if (value("dataset") && sample.dataset.dataset !== value("dataset")) return false;
      if (value("flag") && !flags(sample).includes(value("flag"))) return false;
      if (!words.length) return true;
      const text = sample.textContent.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (value("order") !== "") {
      const column = Number(value("order"));
      const sign = form.elements.order.selectedOptions[0].dataset.better === "higher" ? 1 : -1;
      const keys = new Map(found.map((sample) => [sample, Math.min(...figures(sample, column).map((v) => sign * v))]));
      // Pairs without a value come last.
      found = [...found].sort((a, b) => (keys.get(a) === keys.get(b) ? 0 : keys.get(a) - keys.get(b)));
    }
    page = 0;
    show();
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", select);
  if (pager) {
    pager.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      page += Number(button.dataset.step);
      show();
      document.getElementById("samples").scrollIntoView();
    });
  }
  show();
})();
