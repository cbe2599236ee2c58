"use strict";

// The verdicts: show those of one outcome.
for (const button of document.querySelectorAll(".filter button")) {
  button.addEventListener("click", () => {
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    for (const row of document.querySelectorAll(".verdicts > tbody > tr"))
      row.hidden = button.dataset.outcome !== "" && row.dataset.outcome !== button.dataset.outcome;
  });
}

// A link to a record opens it; a link to a claim shows it again if it was filtered out.
const follow = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  if (target.hidden) document.querySelector(".filter button").click();
  target.scrollIntoView();
};
addEventListener("hashchange", follow);
follow();

// On a phone, pictures of several panels are scrolled instead of shrunk.
for (const image of document.querySelectorAll(".paper img")) {
  const mark = () => image.parentElement.classList.toggle("broad", image.naturalWidth > 1.6 * image.naturalHeight);
  if (image.complete) mark(); else image.addEventListener("load", mark);
}

// The rank explorer.
const source = document.getElementById("choices");
if (source) {
  const choices = JSON.parse(source.textContent);
  const chart = document.getElementById("chart"), answer = document.getElementById("answer");
  const target = document.getElementById("target"), paths = document.getElementById("paths");
  const degrees = [...new Set(choices.map((c) => c.L))];
  let degree = degrees.includes(2) ? 2 : degrees[0];
  const EXACT = 1e-12, FLOOR = 1e-16; // errors below EXACT are roundoff; zero has no logarithm
  const looks = { // colours that colour-blind readers can tell, on light and on dark ground
    "exact, proven": ["star", "#009e73", "#2fd6a5"],
    "Levenberg-Marquardt": ["circle", "#0072b2", "#6cb8ef"],
    "Equivariant Levenberg-Marquardt": ["circle-open", "#b5598f", "#e39cc7"],
    "Alternating Least Squares": ["x", "#c04f00", "#ff9a5c"],
  };
  const others = ["diamond", "#6b6b6b", "#b0b0b0"];

  const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const power = (value) => {
    if (value === 0) return "0";
    let exponent = Math.floor(Math.log10(value)), digits = (value / 10 ** exponent).toFixed(1);
    if (digits === "10.0") [digits, exponent] = ["1.0", exponent + 1];
    if (exponent >= -2) return String(Number(value.toPrecision(2)));
    return `${digits === "1.0" ? "" : `${digits} × `}10<sup>−${-exponent}</sup>`;
  };
  const wanted = (c) => paths.value === "any" || (paths.value === "even" ? c.even : c.alive === c.paths);

  const pick = (limit) => choices.find((c) => c.L === degree && c.code && wanted(c) && c.error <= limit);

  function code(c, limit) {
    if (c.code !== "atlas")
      return `from tdn_theory.coupling import CouplingTensor\nfrom tdn_theory.cp.store import Store\n` +
        `from tdn_theory.nn import TensorProduct\n\nM = CouplingTensor(${c.L})\nfactors = ${c.code}\n` +
        `layer = TensorProduct(M, 64, method=factors)`;
    const asked = paths.value === "all" ? "" : `, paths="${paths.value}"`;
    return `from tdn_theory.cp import atlas\nfrom tdn_theory.nn import TensorProduct\n\n` +
      `entry = atlas.best(${c.L}, max_error=${limit.toExponential(0)}${asked})\n` +
      `layer = TensorProduct(entry.tensor, 64, method=entry.factors)`;
  }

  function explain() {
    const limit = 10 ** Number(target.value), found = pick(limit);
    document.getElementById("target-shown").innerHTML = power(limit);
    target.setAttribute("aria-valuetext", limit.toExponential(0));
    if (!found) {
      answer.innerHTML = `<p>No stored product of degree <i>L</i> = ${degree} is that accurate on these paths.</p>`;
      return;
    }
    const saved = 7 * degree ** 2;
    answer.innerHTML =
      `<p><b>Least rank: <i>R</i> = ${found.R}</b> (${escaped(found.method)}${found.proof ? `: ${escaped(found.proof)}` : ""}),` +
      ` beside the paper’s 7<i>L</i><sup>2</sup> = ${saved}.</p>` +
      `<p>Equivariance error ${power(found.error)}${found.error < EXACT ? ", which is roundoff" : ""};` +
      ` ${found.alive} of ${found.paths} paths alive.</p><pre tabindex="0"><code>${escaped(code(found, limit))}</code></pre>`;
  }

  function draw() {
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const dark = matchMedia("screen and (prefers-color-scheme: dark)").matches;
    const limit = 10 ** Number(target.value), found = pick(limit);
    const shown = choices.filter((c) => c.L === degree && wanted(c));
    const methods = [...new Set(shown.map((c) => c.method))];
    const traces = methods.map((method) => {
      const points = shown.filter((c) => c.method === method), [symbol, light, onDark] = looks[method] || others;
      return {
        name: method, mode: "markers", type: "scatter", x: points.map((c) => c.R), y: points.map((c) => Math.max(c.error, FLOOR)),
        marker: { symbol, size: symbol === "star" ? 13 : 9, color: dark ? onDark : light },
        customdata: points.map((c) => [power(c.error), `${c.alive} of ${c.paths}`, c.proof || "none"]),
        hovertemplate: `<b>R = %{x}</b>, ${method}<br>error %{customdata[0]}<br>paths alive %{customdata[1]}<br>proof: %{customdata[2]}<extra></extra>`,
      };
    });
    if (found)
      traces.push({
        name: "picked", mode: "markers", type: "scatter", x: [found.R], y: [Math.max(found.error, FLOOR)], hoverinfo: "skip",
        marker: { symbol: "circle-open", size: 22, color: colour("--text"), line: { width: 2 } },
      });
    const line = (extra) => ({ type: "line", line: { color: colour("--quiet"), width: 1, dash: "dot" }, ...extra });
    const note = (extra) => ({ showarrow: false, font: { size: 12, color: colour("--quiet") }, ...extra });
    const axis = { color: colour("--text"), gridcolor: colour("--line"), linecolor: colour("--text"), zeroline: false, type: "log" };
    const ranks = [...shown.map((c) => c.R), 7 * degree ** 2], least = Math.min(...ranks), most = Math.max(...ranks);
    const round = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000];
    Plotly.react(chart, traces, {
      autosize: true, width: matchMedia("print").matches ? 640 : undefined, // paper does not tell its width in time
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 20, r: 12, t: 12, b: 48 },
      font: { family: style.getPropertyValue("--serif"), size: 14, color: colour("--text") },
      xaxis: { ...axis, title: { text: "rank R" }, range: [Math.log10(least / 1.3), Math.log10(most * 1.3)], tickvals: round },
      yaxis: { ...axis, title: { text: "equivariance error (rms)", standoff: 8 }, automargin: true, range: [-16.6, 0.6], dtick: 2, exponentformat: "power" },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--text") } },
      shapes: [
        line({ xref: "paper", x0: 0, x1: 1, y0: limit, y1: limit }),
        line({ yref: "paper", y0: 0, y1: 1, x0: 7 * degree ** 2, x1: 7 * degree ** 2 }),
      ],
      annotations: [
        note({ xref: "paper", x: 0, xanchor: "left", y: Number(target.value), yanchor: "bottom", text: "your limit" }),
        note({ yref: "paper", y: 0.55, yanchor: "bottom", x: Math.log10(7 * degree ** 2), xanchor: "right", text: "the paper: 7L<sup>2</sup> " }),
      ],
    }, { displayModeBar: false, responsive: true });
    document.querySelector("#points tbody").innerHTML = shown.map((c) =>
      `<tr><td>${c.R}</td><td>${escaped(c.method)}</td><td>${power(c.error)}</td><td>${c.alive} of ${c.paths}</td><td>${escaped(c.proof || "–")}</td></tr>`).join("");
  }

  const update = () => { explain(); draw(); };
  const pills = document.getElementById("degrees");
  for (const L of degrees) {
    const pill = document.createElement("button");
    pill.type = "button";
    pill.textContent = L;
    pill.setAttribute("aria-label", `L = ${L}`);
    pill.setAttribute("aria-pressed", String(L === degree));
    pill.addEventListener("click", () => {
      degree = L;
      for (const other of pills.children) other.setAttribute("aria-pressed", String(other === pill));
      update();
    });
    pills.append(pill);
  }
  document.getElementById("controls").addEventListener("input", update);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", draw);
  update();
}
