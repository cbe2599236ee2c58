"use strict";

// The verdicts: show those of one outcome.
for (const button of document.querySelectorAll(".filter button")) {
  button.addEventListener("click", () => {
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    for (const claim of document.querySelectorAll(".claim"))
      claim.hidden = button.dataset.outcome !== "" && claim.dataset.outcome !== button.dataset.outcome;
  });
}

// A link to a record opens it; a link to a claim shows it again if it was filtered out.
const follow = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)).split("?")[0]);
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  if (target.hidden) document.querySelector(".filter button").click();
  target.scrollIntoView();
};

// On a phone, pictures of several panels are scrolled instead of shrunk.
for (const image of document.querySelectorAll(".picture img")) {
  const mark = () => image.parentElement.classList.toggle("broad", image.naturalWidth > 1.6 * image.naturalHeight);
  if (image.complete) mark(); else image.addEventListener("load", mark);
}

// Paper cannot be clicked: records without a picture are printed open.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details.evidence:not([open])")) {
    details.open = true;
    addEventListener("afterprint", () => { details.open = false; }, { once: true });
  }
});

// The explorer. What is chosen stands in the address, as #explorer?coupling=L%3D2&channels=64.
const { couplings, times } = JSON.parse(document.getElementById("explorer-data").textContent);
const form = document.getElementById("controls"), field = form.elements, answer = document.getElementById("answer");
const body = document.querySelector("#products tbody");
const ROUNDOFF = 1e-12; // errors below this are that of the arithmetic
let chosen = 0;

const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
const digits = (value) => {
  if (value < 1e5 && value >= 1e-2) return value.toLocaleString("en", { maximumSignificantDigits: 3 });
  let exponent = Math.floor(Math.log10(value)), mantissa = (value / 10 ** exponent).toFixed(1);
  if (mantissa === "10.0") [mantissa, exponent] = ["1.0", exponent + 1];
  return `${mantissa === "1.0" ? "" : `${mantissa} × `}10<sup>${exponent < 0 ? "−" : ""}${Math.abs(exponent)}</sup>`;
};
const option = (value, label) => Object.assign(document.createElement("option"), { value, textContent: label });
const polynomial = (coefficients, x) => coefficients.reduce((sum, a, power) => sum + a * x ** power, 0);
const whole = (input) => Math.max(Number(input.min), Math.min(Number(input.max), Math.round(Number(input.value)) || 1));

const labels = Object.keys(couplings), ofThePaper = labels.filter((label) => label.startsWith("L="));
for (const label of [...ofThePaper, ...labels.filter((l) => !ofThePaper.includes(l))])
  field.coupling.append(option(label, label.replace("=", " = ").replaceAll(" x ", " × ").replace("->", "→")));
for (const [value, label] of [["0", "roundoff: exact ones"], ["1e-6", "10⁻⁶"], ["1e-4", "10⁻⁴"], ["1e-3", "10⁻³"], ["1e-2", "1 %"], ["1e-1", "10 %"], ["9", "any"]])
  field.error.append(option(value, label));

function found() {
  const channels = whole(field.channels), edges = whole(field.edges), connection = field.connection.value;
  const rank = ofThePaper.includes(field.coupling.value) && field.paths.value === "all"
    ? 7 * Number(field.coupling.value.slice(2)) ** 2 : null;
  const timed = times.filter((t) => t.study === field.device.value && t.coupling === field.coupling.value
    && t.connection === connection && t.channels === channels && t.edges === edges && field.paths.value === "all");
  return couplings[field.coupling.value][field.paths.value].map((product) => {
    const orders = Object.entries(product.costs[connection]).map(([order, cost]) => ({
      order, adds: edges * polynomial(cost.multiply_adds, channels), bytes: edges * polynomial(cost.bytes, channels) + cost.constants,
    }));
    const least = orders.reduce((a, b) => (b.adds < a.adds ? b : a));
    const own = timed.filter((t) => t.product === product.id && (product.id !== "cp" || product.terms === rank));
    const time = own.length ? own.reduce((a, b) => (b.ms < a.ms ? b : a)) : null;
    const measured = product.errors[field.measure.value], error = measured >= ROUNDOFF ? measured : 0;
    return { ...product, ...least, time, error, fits: error <= Number(field.error.value) };
  }).sort((a, b) => b.fits - a.fits || a.adds - b.adds);
}

function code(product) {
  const connection = field.connection.value, channels = whole(field.channels);
  const mode = connection === "uvu" ? "" : `, mode="${connection}"`;
  return product.code.replace("CHANNELS", connection === "uvw" ? `(${Array(3).fill(channels).join(", ")})` : channels).replace("MODE", mode);
}

function show(rows) {
  const product = rows[chosen];
  for (const row of body.rows) row.classList.toggle("chosen", row.rowIndex - 1 === chosen);
  const unmet = product.fits ? "" : " Its error is above your limit.";
  const terms = product.terms ? `, <i>R</i> = ${product.terms}` : `, in the order “${product.order.replaceAll("_", " ")}”`;
  const source = product.code ? `<pre tabindex="0" role="region" aria-label="Python"><code>${escaped(code(product))}</code></pre>` : "<p>This is what e3nn itself does.</p>";
  const facts = product.facts.length ? `<p class="note">${escaped(product.facts.join("; "))}</p>` : "";
  answer.innerHTML = `<p><b>${escaped(product.name)}</b>${terms}.${unmet}</p>${facts}${source}`;
}

function update() {
  const both = couplings[field.coupling.value];
  field.paths.disabled = !both.even;
  if (!both.even) field.paths.value = "all";
  const rows = found();
  body.innerHTML = rows.map((p, n) =>
    `<tr class="${p.fits ? "" : "excluded"}"><td><input type="radio" name="product" id="product-${n}" value="${n}"${n === 0 ? " checked" : ""}></td>` +
    `<td><label for="product-${n}">${escaped(p.name)}</label></td><td class="number">${p.terms ?? "–"}</td>` +
    `<td>${p.error ? digits(p.error) : "roundoff"}</td><td>${p.paths}</td><td>${p.weights ?? "–"}</td><td>${escaped(p.proof ?? "–")}</td>` +
    `<td class="number">${digits(p.adds)}</td><td class="number">${digits(p.bytes)}</td>` +
    `<td class="number">${p.time ? `${digits(p.time.ms)} ms` : "–"}</td></tr>`).join("");
  chosen = 0;
  show(rows);
}

function remember() {
  const state = new URLSearchParams([...new FormData(form)].filter(([name]) => name !== "product"));
  history.replaceState(null, "", `#explorer?${state}`);
}

function recall() {
  const [id, state] = decodeURI(location.hash.slice(1)).split("?");
  if (id !== "explorer" || !state) return;
  for (const [name, value] of new URLSearchParams(state)) {
    const input = field.namedItem(name);
    if (input && (input.tagName !== "SELECT" || [...input.options].some((o) => o.value === value))) input.value = value;
  }
}

for (const [name, id] of [["channels", "recorded-channels"], ["edges", "recorded-edges"]])
  for (const count of [...new Set(times.map((t) => t[name]))].sort((a, b) => a - b)) document.getElementById(id).append(option(count, ""));
field.coupling.value = "L=2";
field.error.value = "1e-6";
form.addEventListener("input", () => { update(); remember(); });
form.addEventListener("submit", (event) => event.preventDefault());
body.addEventListener("input", (event) => { chosen = Number(event.target.value); show(found()); });
const arrive = () => { recall(); update(); follow(); };
addEventListener("hashchange", arrive);
arrive();
