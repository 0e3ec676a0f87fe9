/* Events of the controls. CHANGES has what each control draws again, FIRST what is drawn first. */

function apply(changes = [showTable]) {
  for (const change of changes) change();
  writeAddress();
}

form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("input", (event) => {
  if (event.target.form === form) apply(CHANGES[event.target.name]);
});
for (const head of document.querySelectorAll(".ranking thead th")) {
  head.querySelector("button").addEventListener("click", () => sortBy(head));
}
/* Links within the page leave the state in the address. */
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  });
}
addEventListener("hashchange", () => start());

function start() {
  readAddress();
  for (const change of FIRST) change();
}

for (const part of document.querySelectorAll(".controls")) part.hidden = false;
start();
