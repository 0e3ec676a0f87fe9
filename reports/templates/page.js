"use strict";

const filters = document.querySelector(".filters");

/* Show the parts of the chosen truth and subset, and the parts that belong to none. */
function filter() {
  const chosen = {};
  for (const select of filters.querySelectorAll("select")) chosen[select.dataset.filter] = select.value;
  for (const part of document.querySelectorAll("main [data-truth], main [data-subset]")) {
    part.hidden = Object.entries(chosen).some(([key, value]) => value && key in part.dataset && part.dataset[key] !== value);
  }
  const words = [...filters.querySelectorAll("select")].map((select) => select.selectedOptions[0].textContent);
  filters.querySelector("output").textContent = `showing ${words[0]}, ${words[1]}`;
}

/* Numbers by size and words by letters; undefined values are always last. */
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numeric = !Number.isNaN(Number(a)) && !Number.isNaN(Number(b));
  return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b));
}

/* Supervised rows stay below all others. */
function apart(row) {
  return row.classList.contains("supervised");
}

/* The first click sorts a column of numbers in descending order, a column of words in ascending order. */
function sort(heading) {
  const table = heading.closest("table");
  const rows = [...table.tBodies[0].rows];
  const keys = new Map(rows.map((row) => [row, row.cells[heading.cellIndex].dataset.key]));
  const words = [...keys.values()].some((key) => key !== "" && Number.isNaN(Number(key)));
  const before = heading.getAttribute("aria-sort");
  const order = before ? (before === "ascending" ? "descending" : "ascending") : words ? "ascending" : "descending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  rows.sort((a, b) => apart(a) - apart(b) || compare(keys.get(a), keys.get(b), sign));
  table.tBodies[0].append(...rows);
}

for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}
filters.addEventListener("input", filter);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.hidden = false;
filter();
