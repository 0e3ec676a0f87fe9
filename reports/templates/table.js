/* A table with search, kinds, columns and order. The controls of the form "state" are its state; the address has those
   that were changed. PARTS are the controls that parts of the page belong to. */

const form = document.getElementById("state");

function state() {
  const found = {};
  for (const control of form.elements) {
    if (!control.name) continue;
    found[control.name] ??= [];
    if (control.type !== "checkbox" || control.checked) found[control.name].push(control.value);
  }
  return found;
}

const initial = state();

function writeAddress() {
  const changed = new URLSearchParams();
  for (const [name, values] of Object.entries(state())) {
    if (values.join("\n") === initial[name].join("\n")) continue;
    for (const value of values.length ? values : [""]) changed.append(name, value);
  }
  history.replaceState(null, "", `#${changed}`);
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const control of form.elements) {
    if (!control.name) continue;
    const values = given.has(control.name) ? given.getAll(control.name) : initial[control.name];
    if (control.type === "checkbox") control.checked = values.includes(control.value);
    else if (control.tagName !== "SELECT" || [...control.options].some((one) => one.value === values[0])) control.value = values[0];
  }
}

/* Show the parts that belong to what is chosen, and the parts that belong to nothing. */
function showParts() {
  for (const part of document.querySelectorAll(PARTS.map((key) => `[data-${key}]`).join(", "))) {
    part.hidden = PARTS.some((key) => key in part.dataset && part.dataset[key] !== form.elements[key].value);
  }
}

/* Table: columns, order, search, kinds, and the first rows or all. */

const hiddenColumns = document.head.appendChild(document.createElement("style"));
const number = (text) => parseFloat(text.replace(/[,\s]/g, "").replace("−", "-"));

function sorted(rows, heading, order) {
  const key = (row) => row.cells[heading.cellIndex].textContent.trim();
  const sign = order === "ascending" ? 1 : -1;
  const compare = "words" in heading.dataset
    ? (a, b) => sign * key(a).localeCompare(key(b))
    : (a, b) => {
      const [one, other] = [number(key(a)), number(key(b))];
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return sign * (one - other);
    };
  const apart = (row) => row.classList.contains("supervised");
  return rows.sort((a, b) => apart(a) - apart(b) || compare(a, b) || a.dataset.place - b.dataset.place);
}

function showTable() {
  const {q, kind, column, sort, order, all} = state();
  const part = document.querySelector(".ranking:not([hidden])");
  if (!part) return;
  const heads = [...part.querySelectorAll("thead th")];
  const rules = heads.filter((head) => head.dataset.column && !column.includes(head.dataset.column));
  hiddenColumns.textContent = rules.map((head) => `.ranking :is(th, td):nth-child(${head.cellIndex + 1}) { display: none }`).join("\n");
  for (const head of heads) head.removeAttribute("aria-sort");
  const head = heads.find((one) => one.dataset.key === sort[0]);
  head?.setAttribute("aria-sort", order[0]);
  const body = part.querySelector("tbody");
  let rows = [...body.rows].sort((a, b) => a.dataset.place - b.dataset.place);
  if (head) rows = sorted(rows, head, order[0]);
  body.append(...rows);
  const wanted = q[0].trim().toLowerCase();
  const found = rows.filter((row) => kind.includes(row.dataset.kind) && row.cells[0].textContent.toLowerCase().includes(wanted));
  const shown = new Set(all.length ? found : found.slice(0, 15));
  for (const row of rows) row.hidden = !shown.has(row);
  document.getElementById("rows").textContent = `${shown.size} of ${rows.length} rows${found.length < rows.length ? `, ${found.length} match` : ""}`;
}

function sortBy(head) {
  const {sort, order} = form.elements;
  const first = "words" in head.dataset ? "ascending" : "descending";
  const other = {ascending: "descending", descending: "ascending"};
  order.value = sort.value === head.dataset.key ? other[order.value] : first;
  sort.value = head.dataset.key;
  apply();
}

