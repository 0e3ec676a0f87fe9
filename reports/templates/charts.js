"use strict";

/* Draws the charts of the page: content.charts has a Vega-Lite specification for each place with data-chart. */

const content = JSON.parse(document.getElementById("content").textContent);
const drawn = {};

function place(name) {
  return document.querySelector(`[data-chart="${name}"]`);
}

/* Text in place of a chart. */
function tell(name, text) {
  place(name).parentElement.setAttribute("aria-label", text);
}

/* Draw one chart; fill, if given, changes its specification before. */
async function draw(name, fill = () => {}) {
  const spec = structuredClone(content.charts[name]);
  fill(spec);
  const options = {actions: false, renderer: "svg", ast: true, tooltip: {theme: "page"}};
  const before = drawn[name];
  drawn[name] = vegaEmbed(place(name), spec, options);
  if (before) (await before).finalize();
  return (await drawn[name]).view;
}

function drawAll() {
  for (const name of Object.keys(content.charts)) draw(name);
}

/* On paper, all is open that is worth reading there. */
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.protocol")) part.open = true;
});
