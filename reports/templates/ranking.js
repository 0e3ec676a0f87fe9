/* The page of a ranking. The controls of the form "state" are its state; the address has those that were changed. */

const PARTS = ["truth", "subset"];
{% include "table.js" %}

const selected = () => `${form.elements.truth.value}|${form.elements.subset.value}`;

/* Bars: the best rows and all sizes. */

const BARS = 15;
const names = (row) => [row.name, ...row.equal].join(" = ");
const kindsOf = (rows) => [...new Set(rows.map((row) => row.kind))];

function drawBars() {
  const rows = content.rows[selected()].filter((row) => row.tau !== null && row.kind !== "supervised");
  const sizes = rows.filter((row) => row.kind === "baseline");
  const best = new Set(rows.filter((row) => row.kind !== "baseline").slice(0, Math.max(BARS - sizes.length, 5)));
  const shown = rows.filter((row) => row.kind === "baseline" || best.has(row));
  for (const key of ["tau", "rho"]) {
    const top = sizes.length ? [{value: Math.max(...sizes.map((row) => row[key]))}] : [];
    const values = shown.map((row) => ({
      name: row.name, names: names(row), kind: row.kind, value: row[key], low: row[`${key}_low`], high: row[`${key}_high`], text: row[`${key}_text`],
    }));
    draw(key, (spec) => {
      spec.datasets = {rows: values, line: top};
      spec.height *= values.length;
      spec.layer[0].encoding.color.legend.values = kindsOf(shown);
    });
    tell(key, content.sentences[selected()]);
  }
}

/* Scatter: a score against an accuracy, twice; what is picked in one is picked in the other. */

const architectures = content.architectures;
let picked = [];

/* Ranks from 0 to 100 percent, equal values at their mean rank. */
function ranks(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const found = new Array(values.length);
  for (let i = 0; i < order.length;) {
    let j = i;
    while (j + 1 < order.length && values[order[j + 1]] === values[order[i]]) j++;
    for (let k = i; k <= j; k++) found[order[k]] = 100 * (i + j) / 2 / Math.max(order.length - 1, 1);
    i = j + 1;
  }
  return found;
}

function points(proxy, truth) {
  const [scores, accuracies, member] = [architectures.score[proxy], architectures.accuracy[truth], architectures.subset[form.elements.subset.value]];
  const places = architectures.name.map((_, i) => i).filter((i) => scores[i] !== null && accuracies[i] !== null && (!member || member[i]));
  const [x, y] = [places.map((i) => scores[i]), places.map((i) => accuracies[i])];
  const ranked = form.elements.scale.value === "ranks";
  const [across, up] = ranked ? [ranks(x), ranks(y)] : [x, y];
  const colour = architectures.score[form.elements.colour.value] ?? architectures.accuracy[form.elements.colour.value];
  return places.map((i, at) => ({i, arch: architectures.name[i], x: across[at], y: up[at], score: x[at], accuracy: y[at], c: colour?.[i]}));
}

async function drawScatter(name, proxy, truth) {
  const rows = points(proxy, truth);
  const ranked = form.elements.scale.value === "ranks" ? ", rank in %" : "";
  const label = content.truths[truth];
  const view = await draw(name, (spec) => {
    const encoding = spec.layer[0].encoding;
    spec.datasets.rows = rows;
    spec.params[0].value = picked;
    encoding.x.title = `score of ${proxy}${ranked}`;
    encoding.y.title = `accuracy, ${label}${ranked || ", %"}`;
    encoding.color.title = form.elements.colour.selectedOptions[0].textContent;
    if (!form.elements.colour.value) encoding.color = {value: "var(--proxy)"};
  });
  view.addSignalListener("brush", (_, area) => pick(inside(rows, area)));
  const row = content.rows[`${truth}|${form.elements.subset.value}`].find((one) => [one.name, ...one.equal].includes(proxy));
  const told = row ? `τ ${row.tau_text}, ρ ${row.rho_text}` : "not ranked";
  tell(name, `${proxy} against the accuracy ${label} of ${rows.length} architectures: ${told}.`);
  document.querySelector(`[data-finding="${name}"]`).textContent = `${proxy}, ${label}: ${told}`;
}

function inside(rows, area) {
  if (!area?.x || !area?.y) return [];
  const within = (value, ends) => value >= Math.min(...ends) && value <= Math.max(...ends);
  return rows.filter((row) => within(row.x, area.x) && within(row.y, area.y)).map((row) => row.i);
}

let waiting;

/* Mark architectures in both charts, and list them. */
function pick(those) {
  picked = those;
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    for (const name of ["scatter", "scatter-2"]) if (drawn[name]) (await drawn[name]).view.signal("picked", picked).runAsync();
    listPicked();
  }, 60);
}

function listPicked() {
  const {x, truth} = form.elements;
  const rows = points(x.value, truth.value).filter((row) => !picked.length || picked.includes(row.i)).sort((a, b) => b.score - a.score);
  const accuracies = rows.map((row) => row.accuracy);
  const span = rows.length ? `, accuracy ${Math.min(...accuracies).toFixed(2)} to ${Math.max(...accuracies).toFixed(2)} %` : "";
  document.getElementById("picked").textContent = `${picked.length ? "Selected" : "All"}: ${rows.length} architectures${span}`;
  const body = document.querySelector("#picked-table tbody");
  body.replaceChildren(...rows.slice(0, 15).map((row) => {
    const line = document.createElement("tr");
    for (const text of [row.arch, row.score, row.accuracy]) line.appendChild(document.createElement("td")).textContent = text;
    return line;
  }));
}

function pickByName() {
  const wanted = form.elements.arch.value.trim().toLowerCase();
  pick(wanted ? architectures.name.map((_, i) => i).filter((i) => architectures.name[i].toLowerCase().includes(wanted)) : []);
}

function drawScatters() {
  const {x, x2, truth, truth2} = form.elements;
  drawScatter("scatter", x.value, truth.value);
  drawScatter("scatter-2", x2.value, truth2.value || truth.value);
  listPicked();
}

/* Map of the proxies: two statistics against each other. */
function drawMap() {
  const [mx, my] = [form.elements.mx.value, form.elements.my.value];
  const rows = content.rows[selected()].filter((row) => row[mx] !== null && row[my] !== null);
  const best = new Set([...rows].filter((row) => row.kind !== "supervised").sort((a, b) => b[my] - a[my]).slice(0, 2));
  const values = rows.map((row) => ({
    name: row.name, names: names(row), kind: row.kind, x: row[mx], y: row[my], label: row.kind === "baseline" || best.has(row) ? row.name : "",
  }));
  draw("map", (spec) => {
    spec.datasets.rows = values;
    for (const layer of spec.layer) {
      for (const [axis, key] of [["x", mx], ["y", my]]) {
        layer.encoding[axis].title = content.statistics[key];
        if (key === "milliseconds") layer.encoding[axis].scale = {type: "log"};
      }
    }
    const [first] = spec.layer;
    first.encoding.color.legend.values = kindsOf(rows);
    first.encoding.tooltip[2].title = content.statistics[mx];
    first.encoding.tooltip[3].title = content.statistics[my];
  });
  const highest = [...best].map((row) => row.name).join(", ");
  tell("map", `${content.statistics[my]} against ${content.statistics[mx]} of ${rows.length} rows. Highest: ${highest}.`);
}

/* What each control changes: nothing else is drawn again. */
const CHANGES = {
  truth: [showParts, showTable, drawBars, drawScatters, drawMap],
  subset: [showParts, showTable, drawBars, drawScatters, drawMap],
  x: [drawScatters], x2: [drawScatters], truth2: [drawScatters], colour: [drawScatters], scale: [drawScatters],
  arch: [pickByName], mx: [drawMap], my: [drawMap],
};

/* What is drawn first. */
const FIRST = [...CHANGES.truth, pickByName];

{% include "events.js" %}
