// The samples: order, filters, pages; of the pairs on the page, a table of recordings as demo pages lay them out.

const recordingName = (entry) => entry.label || about.systems[entry.system].title;

// Of one pair, a share that is all or nothing is a yes or a no.
const printed = (value, measure) => {
  if (value === null || value === undefined) return "";
  if (measure.yes) return value ? "yes" : "no";
  return minus((value / 10 ** measure.decimals).toFixed(measure.decimals));
};
const unitOf = (measure) => (measure.yes ? "" : measure.unit);

// Whole numbers, the worst first: what is better with lower values is turned.
const badness = (measure) => (measure.better === "higher" ? -1 : 1);

const playButton = (entry, pair) => {
  if (!entry.src) return make("span", {class: "problem"}, entry.problem || "no recording");
  const button = make("button", {type: "button", class: "play", "aria-pressed": "false",
    "aria-label": `Play ${recordingName(entry)}, ${pair.id}`});
  entry.recording = {src: entry.src, label: recordingName(entry), pair: pair.id, picture: entry.picture, button};
  return button;
};

const heardCell = (entry) => (entry.heard === undefined ? "" : make("span", {class: "heard"}, ...heardText(entry.said, entry.heard)));

const remarks = (entry) => make("span", {class: "remarks"},
  ...(entry.flags || []).map((flag) => make("span", {class: "flag"}, flag)),
  entry.trained ? make("span", {class: "flag", title: `trained on the ${entry.trained} speaker`}, "trained on") : "");

// Wide screens: one column per recording.
const asColumns = (pair, entries) => {
  const row = (name, cell, kind = "") => make("tr", {class: kind}, make("th", {scope: "row"}, name),
    ...entries.map((entry) => make("td", {}, cell(entry))));
  const kind = (entry) => ("system" in entry ? (about.systems[entry.system].control ? "control" : "system") : "given");
  const body = make("tbody", {}, row("Listen", (entry) => playButton(entry, pair), "listen"));
  about.measures.forEach((measure, number) => {
    if (!entries.some((entry) => entry.values && entry.values[number] !== null)) return;
    body.append(row(make("span", {}, measure.label, unitOf(measure) ? make("span", {class: "unit"}, ` ${unitOf(measure)}`) : ""),
      (entry) => (entry.values ? printed(entry.values[number], measure) : "")));
  });
  if (entries.some((entry) => entry.heard !== undefined)) body.append(row("Heard", heardCell, "words"));
  if (entries.some((entry) => entry.flags || entry.trained)) body.append(row("Marks", remarks, "words"));
  return make("div", {class: "scroll", role: "region", tabIndex: 0, "aria-label": `Recordings of ${pair.id}`},
    make("table", {class: "recordings"},
      make("thead", {}, make("tr", {}, make("td"), ...entries.map((entry) => make("th", {scope: "col", class: kind(entry)},
        make("span", {class: "name", title: recordingName(entry)}, recordingName(entry)),
        entry.note ? make("span", {class: "unit"}, entry.note) : "")))),
      body));
};

// Narrow screens: one line per recording.
const asLines = (pair, entries) => make("ol", {class: "recordings"}, ...entries.map((entry) => make("li", {},
  make("p", {class: "head"}, playButton(entry, pair), make("span", {class: "name"}, recordingName(entry)),
    entry.note ? make("span", {class: "unit"}, entry.note) : "", remarks(entry)),
  entry.values ? make("dl", {}, ...about.measures.map((measure, number) => (entry.values[number] === null ? ""
    : make("div", {}, make("dt", {}, measure.label), make("dd", {},
      printed(entry.values[number], measure),
      unitOf(measure) ? ` ${unitOf(measure)}` : ""))))) : "",
  heardCell(entry))));

const narrow = matchMedia("(max-width: 48rem)");

const sampleCard = (pair) => {
  const entries = [...(pair.given || []), ...(pair.made || [])];
  const holder = (narrow.matches ? asLines : asColumns)(pair, entries);
  const recordings = player.adopt(entries.filter((entry) => entry.recording).map((entry) => entry.recording));
  recordings.forEach((recording) =>
    recording.button.addEventListener("click", () => player.choose(recording, recordings)));
  const pictures = make("button", {type: "button", class: "plain", "aria-expanded": "false"}, "Spectrograms");
  const drawings = make("div", {class: "spectrograms", hidden: true});
  pictures.addEventListener("click", async () => {
    drawings.hidden = !drawings.hidden;
    pictures.setAttribute("aria-expanded", String(!drawings.hidden));
    if (drawings.hidden || drawings.childElementCount) return;
    for (const recording of recordings) {
      const figure = make("figure", {}, make("figcaption", {}, recording.label));
      drawings.append(figure);
      try {
        figure.prepend(await spectrogram(recording));
      } catch (error) {
        drawings.replaceChildren(make("p", {class: "note"}, error.message));
        return;
      }
    }
  });
  return make("article", {class: "sample"},
    make("header", {},
      make("h3", {}, pair.id),
      make("p", {class: "about"}, [pair.from || pair.to ? `${pair.from || "unknown"} → ${pair.to || "unknown"}` : "",
        pair.direction, about.datasets.length > 1 ? pair.dataset : ""].filter(Boolean).join(" · ")),
      recordings.length ? pictures : ""),
    pair.text ? make("p", {class: "said"}, `“${pair.text}”`) : "", holder, drawings);
};

const startSamples = async () => {
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const pagers = [...document.querySelectorAll(".pager")];
  const status = document.getElementById("found");
  const index = await load("pairs");
  const lower = index.id.map((id, place) => `${id} ${index.speakers[place]} ${index.text[place]}`.toLowerCase());
  const [failed, trained] = [new Set(index.failed), new Set(index.trained)];
  let found = [...index.id.keys()];
  let page = 0;
  let turn = 0;
  let seed = 1;

  const value = (name) => (form.elements[name] ? form.elements[name].value : "");

  const sorted = async () => {
    const order = value("order");
    if (order === "") return found;
    if (order === "random") {
      let state = seed;
      const draw = () => { // xorshift32 (Marsaglia, 2003): the same shuffle until the next one is asked for
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
      };
      const drawn = [...found];
      for (let place = drawn.length - 1; place > 0; place -= 1) {
        const other = Math.floor(draw() * (place + 1));
        [drawn[place], drawn[other]] = [drawn[other], drawn[place]];
      }
      return drawn;
    }
    const measure = Number(value("measure"));
    const values = await load(`order-${measure}`);
    const sign = badness(about.measures[measure]) * (order === "worst" ? -1 : 1);
    const systems = value("of") === "" ? about.systems.map((system, place) => (system.control ? -1 : place))
      .filter((place) => place >= 0) : [Number(value("of"))];
    const keys = new Map(found.map((place) => [place, systems.reduce((key, system) => {
      const one = values[system][place];
      return one === null ? key : Math.min(key, sign * one);
    }, Infinity)]));
    return [...found].sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) - keys.get(b)));
  };

  const show = async () => {
    const mine = ++turn;
    const part = found.slice(page * about.page, (page + 1) * about.page);
    let cards;
    try {
      const parts = await Promise.all(part.map((place) => load(`samples-${Math.floor(place / about.chunk)}`)));
      if (mine !== turn) return;
      cards = part.map((place, number) => sampleCard(parts[number][place % about.chunk]));
    } catch (error) {
      cards = [make("p", {class: "problem"}, error.message)];
    }
    shown.replaceChildren(...cards);
    const last = Math.max(1, Math.ceil(found.length / about.page));
    status.textContent = found.length === about.total ? counted(about.total, "pair")
      : `${found.length.toLocaleString("en")} of ${counted(about.total, "pair")}`;
    for (const pager of pagers) {
      pager.hidden = last < 2;
      pager.querySelector("span").textContent = `of ${last.toLocaleString("en")}`;
      Object.assign(pager.querySelector("input"), {value: page + 1, max: last});
      const [previous, following] = pager.querySelectorAll("button");
      previous.disabled = page === 0;
      following.disabled = page >= last - 1;
    }
  };

  const select = async () => {
    const mine = ++turn;
    const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    const flag = value("flag");
    const [dataset, direction, heard] = [value("dataset"), value("direction"), value("trained")];
    found = [...index.id.keys()].filter((place) =>
      (dataset === "" || index.dataset[place] === Number(dataset))
      && (direction === "" || index.direction[place] === Number(direction))
      && (heard === "" || trained.has(place) === (heard === "only"))
      && (flag === "" || (flag === "failed" ? failed.has(place)
        : (index.flags[place] || []).some(([, one]) => one === Number(flag))))
      && words.every((word) => lower[place].includes(word)));
    const graded = ["worst", "best"].includes(value("order"));
    for (const name of ["measure", "of"]) if (form.elements[name]) form.elements[name].closest("label").hidden = !graded;
    form.elements.shuffle.hidden = value("order") !== "random";
    const ordered = await sorted();
    if (mine !== turn) return;
    found = ordered;
    page = 0;
    await show();
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", select);
  form.addEventListener("reset", () => setTimeout(select));
  form.elements.shuffle.addEventListener("click", () => {
    seed = (seed * 48271) % 2147483647;
    select();
  });
  const turnTo = (to) => {
    page = Math.min(Math.max(0, to), Math.max(0, Math.ceil(found.length / about.page) - 1));
    show();
    document.getElementById("samples").scrollIntoView();
  };
  for (const pager of pagers) {
    pager.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) turnTo(page + Number(button.dataset.step));
    });
    pager.querySelector("input").addEventListener("change", (event) => turnTo(Number(event.target.value) - 1));
  }
  narrow.addEventListener("change", show);
  await select();
};

const samplesPart = document.getElementById("samples");
if (samplesPart && player) {
  whenNear(samplesPart, () => startSamples().catch((error) => {
    document.getElementById("found").textContent = error.message;
  }));
}
