// Tables of a board: filters, columns to choose, sorting, more rows. Rows come in chunks, once somebody asks for more.

const MARKS = ["", "best", "second", "own"];
const [TITLE, PAGE, BY, DAY, LICENCE, YEAR, SIZE, TRAINED, UNKNOWN, CONTROL, CELLS, UNSEEN] = Array(12).keys();
const STEP = 200;

const cellOf = (cell, marked) => {
  if (!cell) return make("td", {class: "num none"}, "·");
  const mark = marked ? MARKS[cell[4]] : "";
  const sign = mark === "own"
    ? make("abbr", {title: "judged by an encoder that the system was made with, or by one related to it"}, "†")
    : mark && make("span", {class: "hidden"}, ` ${mark}`);
  return make("td", {class: `num ${mark}`.trim()},
    make("span", {class: "v"}, minus(cell[0] || "–"), sign || null),
    cell[1] && make("span", {class: "ci"}, minus(`[${cell[1]}, ${cell[2]}]`)),
    make("span", {class: "n"}, cell[3]));
};

const lineOf = (row, columns, unseen) => {
  const own = unseen && row[UNSEEN];
  return make("tr", {class: row[CONTROL] ? "control" : null},
    make("th", {scope: "row"},
      make("a", {class: "name", href: row[PAGE]}, row[TITLE]),
      make("span", {class: "by"}, `${row[BY]} · `, make("time", {}, row[DAY])),
      row[TRAINED] && !unseen
        ? make("span", {class: "flag", title: "pairs with a speaker that the system was trained on"}, `trained on ${row[TRAINED]}`)
        : null,
      unseen && row[UNKNOWN]
        ? make("span", {class: "flag", title: "pairs whose speakers nobody knows to be unseen"}, `${row[UNKNOWN]} not known`)
        : null),
    ...columns.map((column) => cellOf((own || row[CELLS])[column], !unseen)));
};

const board = (section) => {
  const facts = about.tables[section.dataset.table];
  const form = section.querySelector("form.filter");
  const table = section.querySelector("table.results");
  const button = section.querySelector(".more button");
  const chooser = section.querySelector(".choices");
  const state = section.querySelector(".state");
  const words = section.querySelector(".words");
  const said = words.textContent;
  let rows = null;
  let few = facts.few;
  let sorted = null;

  const read = async () => {
    if (rows) return;
    const parts = [];
    for (let number = 0; number < facts.chunks; number += 1) parts.push(await load(`${facts.name}-${number}`));
    rows = parts.flat();
  };

  const value = (name) => form.elements[name]?.value || "";

  const wanted = (row) => {
    if (row[CONTROL]) return true;
    const text = value("text").trim().toLowerCase();
    if (text && !`${row[TITLE]} ${row[BY]}`.toLowerCase().includes(text)) return false;
    if (value("licence") && row[LICENCE] !== value("licence")) return false;
    if (value("year") && !(row[YEAR] >= Number(value("year")))) return false;
    if (value("parameters") && !(row[SIZE] !== null && row[SIZE] <= 1e6 * Number(value("parameters")))) return false;
    return value("speakers") !== "never" || !(row[TRAINED] || row[UNKNOWN]);
  };

  const chosen = () => facts.columns.map((_, number) => number).filter((number) => facts.columns[number].on);

  const key = (row, column, unseen) => {
    const cell = ((unseen && row[UNSEEN]) || row[CELLS])[column];
    const number = cell ? parseFloat(cell[0]) : NaN;
    const {best} = facts.columns[column];
    return best === null ? number : Math.abs(number - best);
  };

  const heads = (columns) => {
    const head = (title, column) => {
      const {heading, unit, judge, arrow} = column === null ? {heading: title} : facts.columns[column];
      const order = sorted && sorted.column === column ? (sorted.down ? "descending" : "ascending") : null;
      const sort = make("button", {type: "button", class: "sort"}, arrow ? `${heading}\u00a0${arrow}` : heading);
      sort.addEventListener("click", () => {
        const better = column !== null && facts.columns[column].better === "higher" && facts.columns[column].best === null;
        if (!sorted || sorted.column !== column) sorted = {column, down: better};
        else sorted = sorted.down === better ? {column, down: !better} : null;
        show();
      });
      return make("th", {scope: "col", class: column === null ? null : "num", "aria-sort": order,
        title: column === null ? null : facts.columns[column].title}, sort,
      column === null ? null : make("span", {class: "unit"}, [judge, unit].filter(Boolean).join(", ")));
    };
    return make("thead", {}, make("tr", {}, head("System", null), ...columns.map((column) => head("", column))));
  };

  const show = async () => {
    try {
      await read();
    } catch (error) {
      state.textContent = error.message;
      return;
    }
    const columns = chosen();
    const unseen = value("speakers") === "unseen";
    const found = rows.filter(wanted);
    if (sorted) {
      const {column, down} = sorted;
      found.sort((a, b) => {
        if (column === null) return (down ? -1 : 1) * a[TITLE].localeCompare(b[TITLE]);
        const [x, y] = [key(a, column, unseen), key(b, column, unseen)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return (down ? -1 : 1) * (x - y);
      });
    }
    const [systems, controls] = [found.filter((row) => !row[CONTROL]), found.filter((row) => row[CONTROL])];
    const parts = [heads(columns), make("tbody", {}, ...systems.slice(0, few).map((row) => lineOf(row, columns, unseen)))];
    if (controls.length) {
      parts.push(make("tbody", {},
        make("tr", {class: "block"}, make("th", {scope: "rowgroup", colSpan: columns.length + 1},
          "Controls (lower and upper bounds, not ranked)")),
        ...controls.slice(0, facts.few).map((row) => lineOf(row, columns, unseen))));
    }
    table.replaceChildren(table.caption, ...parts);
    const left = systems.length - few;
    button.hidden = left <= 0;
    button.textContent = `Show ${Math.min(left, STEP).toLocaleString("en")} more of ${counted(systems.length, "system")}`;
    const all = rows.filter((row) => !row[CONTROL]).length;
    state.textContent = systems.length < all ? `${systems.length.toLocaleString("en")} of ${counted(all, "system")}` : "";
    words.textContent = unseen
      ? "Without pairs with a speaker that the system was trained on. Nothing is marked: every system leaves out pairs of its own."
      : said + (systems.length < all ? " Marks are those over all systems." : "");
  };

  const choose = section.querySelector(".choose");
  choose.hidden = false;
  choose.open = window.matchMedia("(min-width: 48rem)").matches;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { few = facts.few; show(); });
  form.addEventListener("reset", () => setTimeout(() => { few = facts.few; sorted = null; show(); }));
  button.addEventListener("click", () => { few += STEP; show(); });
  if (chooser) {
    chooser.addEventListener("input", (event) => {
      facts.columns[event.target.value].on = event.target.checked;
      show();
    });
  }
  button.hidden = facts.left <= 0;
  button.textContent = `Show more of ${counted(facts.left + facts.few, "system")}`;
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    const sort = cell.querySelector("button.sort");
    sort.disabled = false;
    sort.addEventListener("click", async () => {
      const column = place ? chosen()[place - 1] : null;
      const better = column !== null && facts.columns[column].better === "higher" && facts.columns[column].best === null;
      sorted = {column, down: better};
      show();
    });
  });
};

for (const section of document.querySelectorAll("section.board")) board(section);
