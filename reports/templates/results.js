// Results tables: sorting, filters, and one measure split by direction or dataset.

const ALL = -1;

// Fill one figure's cell; `row` is what cells.py lists, or undefined where there is nothing.
const fill = (cell, row) => {
  const [value, low, high, count, skipped, mark] = row ? row.slice(5) : [];
  cell.className = `num${row ? ["", " best", " second"][mark] : " none"}`;
  cell.dataset.value = value || "";
  if (!row) {
    cell.replaceChildren("·");
    return cell;
  }
  const counts = [count, skipped ? `${skipped} skipped` : ""].filter(Boolean);
  const mention = ["", "best", "second"][mark];
  cell.replaceChildren(
    make("span", {class: "v"}, minus(value || "–"), mention ? make("span", {class: "hidden"}, ` ${mention}`) : null),
    low ? make("span", {class: "ci"}, minus(`[${low}, ${high}]`)) : "",
    make("span", {class: "n"}, counts.join(" · ")),
  );
  return cell;
};

// Click on a heading: best first, worst first, as given.
const sortable = (table) => {
  const heads = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];
  const given = new Map(bodies.map((body) => [body, [...body.rows]]));
  const sort = (head, direction) => {
    const column = heads.indexOf(head);
    const key = (row) => {
      const cell = row.cells[column];
      if (column === 0) return cell.querySelector(".name").textContent.trim().toLowerCase();
      if (cell.dataset.value === "" || cell.dataset.value === undefined) return NaN;
      const value = parseFloat(cell.dataset.value);
      return head.dataset.best === undefined ? value : Math.abs(value - head.dataset.best);
    };
    const sign = direction === "descending" ? -1 : 1;
    for (const [body, rows] of given) {
      const heading = rows.filter((row) => row.classList.contains("block"));
      const lines = rows.filter((row) => !heading.includes(row));
      const sorted = direction === "none" ? lines : lines.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
      });
      body.append(...heading, ...sorted);
    }
    for (const other of heads) other.removeAttribute("aria-sort");
    if (direction !== "none") head.setAttribute("aria-sort", direction);
  };
  for (const head of heads) {
    const button = head.querySelector("button.sort");
    if (!button) continue;
    button.disabled = false;
    button.addEventListener("click", () => {
      const order = head.dataset.better === "higher" && head.dataset.best === undefined ? ["descending", "ascending"] : ["ascending", "descending"];
      sort(head, [...order, "none"][order.indexOf(head.getAttribute("aria-sort")) + 1]);
    });
  }
};

// Every figure by system, measure, dataset, direction and part.
const figures = async () => {
  const found = await load("cells");
  found.by ||= new Map(found.rows.map((row) => [row.slice(0, 5).join(), row]));
  return found;
};

const filterResults = async (form, tables) => {
  const field = (name, otherwise) => (form.elements[name] ? Number(form.elements[name].value) : otherwise);
  const [dataset, direction, part] = [field("dataset", ALL), field("direction", ALL), field("part", 0)];
  const found = await figures();
  let some = 0;
  for (const table of tables) {
    const measures = [...table.tHead.rows[0].cells].map((head) => head.dataset.measure);
    for (const line of table.querySelectorAll("tr[data-system]")) {
      [...line.cells].forEach((cell, column) => {
        if (!column) return;
        const row = found.by.get([line.dataset.system, measures[column], dataset, direction, part].join());
        fill(cell, row);
        some = Math.max(some, row ? row[8] : 0);
      });
    }
    document.getElementById(`marks-${table.dataset.table}`).textContent =
      part ? "" : found.said[table.dataset.table][`${dataset},${direction}`];
    const sorted = table.querySelector("[aria-sort] button.sort");
    if (sorted) {
      const head = sorted.closest("th");
      const order = head.getAttribute("aria-sort");
      head.removeAttribute("aria-sort");
      do sorted.click(); while (head.getAttribute("aria-sort") !== order);
    }
  }
  const named = [...form.elements].filter((one) => one.tagName === "SELECT" && one.selectedIndex > 0)
    .map((one) => one.selectedOptions[0].textContent);
  document.getElementById("result-state").textContent = named.length
    ? `${named.join(", ")}: ${some ? `up to ${counted(some, "pair")} per system` : "no figures"}` +
      (part ? "; nothing is marked, since every system leaves out pairs of its own" : "")
    : "";
};

const splitTable = async (holder, measure) => {
  const found = await figures();
  const kind = holder.dataset.split;
  const names = kind === "direction" ? found.directions : found.datasets;
  const place = (column) => (kind === "direction" ? [ALL, column] : [column, ALL]);
  const {better, best} = about.all[measure];
  const table = make("table", {class: "results"},
    make("caption", {}, make("span", {}, about.all[measure].title)),
    make("thead", {}, make("tr", {},
      make("th", {scope: "col"}, make("button", {type: "button", class: "sort"}, "System")),
      ...[ALL, ...names.keys()].map((column) => make("th",
        {scope: "col", class: "num", "data-better": better, "data-best": best === null ? null : String(best)},
        make("button", {type: "button", class: "sort"}, column === ALL ? "All" : names[column]))))));
  for (const control of [false, true]) {
    const rows = about.systems.map((system, number) => [system, number]).filter(([system]) => system.control === control);
    if (!rows.length) continue;
    const body = make("tbody");
    if (control) {
      body.append(make("tr", {class: "block"}, make("th", {scope: "rowgroup", colSpan: names.length + 2},
        "Controls (lower and upper bounds, not ranked)")));
    }
    for (const [system, number] of rows) {
      body.append(make("tr", {class: control ? "control" : ""}, make("th", {scope: "row"},
        make("span", {class: "name"}, system.title),
        system.trained ? make("a", {class: "flag", href: "#training"}, system.trained) : ""),
      ...[ALL, ...names.keys()].map((column) =>
        fill(make("td"), found.by.get([number, measure, ...place(column), 0].join())))));
    }
    table.append(body);
  }
  sortable(table);
  holder.replaceChildren(make("p", {class: "note"}, found.said[kind][measure]), table);
};

for (const table of document.querySelectorAll("table.results")) sortable(table);

const resultFilter = document.getElementById("result-filter");
if (resultFilter) {
  const tables = [...document.querySelectorAll("#results table.results")];
  resultFilter.hidden = false;
  resultFilter.addEventListener("submit", (event) => event.preventDefault());
  resultFilter.addEventListener("input", () => filterResults(resultFilter, tables));
  resultFilter.addEventListener("reset", () => setTimeout(() => filterResults(resultFilter, tables)));
}

for (const choice of document.querySelectorAll("select.split-measure")) {
  const holder = document.getElementById(choice.getAttribute("aria-controls"));
  choice.addEventListener("input", () => splitTable(holder, Number(choice.value)));
  whenNear(holder, () => splitTable(holder, Number(choice.value)));
}
