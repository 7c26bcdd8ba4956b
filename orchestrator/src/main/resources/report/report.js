// Draws the page from the JSON block that HtmlReport wrote. Text from the run reaches the page as text nodes and
// attributes only, never as markup.

const run = JSON.parse(document.getElementById("run").textContent);
const { started, evaluations, iterations, warnings, ending, comparison, pictures } = run;
const page = document.getElementById("page");

// ------------------------------------------------------------------------------------------------ small helpers

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("--")) node.style.setProperty(key, value);
    else if (key === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const present = (value) => value !== null && value !== undefined;
/** A real minus sign, and none before what was rounded to zero. */
const minus = (text) => text.replace(/^-(?=[0.]+(?:[^\d.]|$))/, "").replace("-", "−");

/** About four significant digits, with a real minus sign. */
function number(value) {
  if (!present(value)) return "–";
  const size = Math.abs(value);
  // What rounding left of a normalised reward's mean.
  if (size < 1e-12) return "0";
  if (size < 0.001 || size >= 1e6) return minus(value.toExponential(2));
  return minus(value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : 4));
}
const fixed = (digits) => (value) => (present(value) ? minus(value.toFixed(digits)) : "–");
const whole = (value) => (present(value) ? value.toLocaleString("en") : "–");
const percent = (ratio) => (present(ratio) ? minus(`${100 * ratio >= 0.05 ? "+" : ""}${(100 * ratio).toFixed(1)} %`) : "–");
const span = (low, high) => `${number(low)} to ${number(high)}`;
const tone = (change) => (change > 0 ? "good" : change < 0 ? "bad" : "");

function duration(seconds) {
  if (!present(seconds)) return "–";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${total % 60} s`;
}

/** Whether changes are told as shares: not of a reward that may as well have been 0, as a normalised sum's is. */
const relative = comparison && !(comparison.before.low <= 0 && comparison.before.high >= 0);
/** Relative to the size of what was before: rewards may be negative. */
const change = (before, after) => (relative && before !== 0 ? (after - before) / Math.abs(before) : null);
const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`;

/** @param columns [heading, row => text, text column?] */
function numbers(caption, columns, rows) {
  return h("details", {},
    h("summary", {}, "Numbers"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h("table", { class: "numbers", "aria-label": caption },
        h("thead", {}, h("tr", {}, columns.map(([heading, , text]) => h("th", { scope: "col", class: text ? "text" : null }, heading)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([, cell, text]) => h("td", { class: text ? "text" : null }, cell(row)))))))));
}

// ------------------------------------------------------------------------------------------------ headline

function headline() {
  const facts = [["algorithm", (started.algorithm ?? "–").toUpperCase()], ["seed", String(started.seed)],
    ["iterations", `${iterations.length} of ${started.iterations}`], ["samples per iteration", whole(started.samples)]];
  if (run.reward) facts.push(["reward", run.reward]);
  return h("header", {},
    h("p", { class: "overline" }, `vard run ${started.run_id} · ${(started.time ?? "").replace("T", " ").replace(/(:\d\d)(\.\d+)?Z$/, "$1 UTC")}`),
    h("h1", {}, started.name ?? started.run_id),
    h("ul", { class: "facts" }, facts.map(([name, value]) => h("li", {}, `${name} `, h("b", {}, value)))),
    notice(), warnings.map(warning));
}

function warning({ iteration, code, message }) {
  const when = iteration ? ` in iteration ${iteration}` : "";
  return h("p", { class: "notice", role: "status" }, h("b", {}, `Warning${when} (${code}). `), message);
}

function notice() {
  const progress = `${iterations.length} of ${started.iterations} iterations are recorded.`;
  if (ending?.event === "finished") return null;
  const what = { FAILED: "failed", CANCELLED: "was stopped", PAUSED: "is paused" }[ending?.to];
  if (what === "was stopped") return h("p", { class: "notice", role: "status" }, h("b", {}, "The run was stopped. "), progress);
  if (what) return h("p", { class: "notice", role: "status" }, h("b", {}, `The run ${what} (${ending.reason_code}). `), `${ending.reason} — ${progress}`);
  return h("p", { class: "notice", role: "status" }, h("b", {}, "The run has no end on record: "), `it goes on still, or was interrupted. ${progress}`);
}

function tiles() {
  return h("section", { class: "tiles", "aria-label": "Result" }, rewardTile(), changeTile(), queriesTile(), klTile(), timeTile());
}

const tile = (title, figure, ...rest) => h("div", { class: "card tile" }, h("h2", {}, title), h("div", { class: "figure" }, figure), rest);

function rewardTile() {
  if (!comparison) {
    const first = evaluations[0]?.reward;
    return h("div", { class: "card tile wide" }, h("div", {}, h("h2", {}, "Reward"), h("div", { class: "figure" }, number(first?.mean)),
      h("p", {}, first ? `before training; 95 %: ${span(first.low, first.high)}` : "Nothing was scored yet.")));
  }
  const { before, after, basis, images, after_iteration } = comparison;
  const what = basis === "evaluation"
    ? `mean of ${whole(images)} evaluation images, same prompts and seeds, after ${after_iteration} iterations`
    : `mean of the training samples of iterations 1 and ${after_iteration}: no evaluation was made after training`;
  return h("div", { class: "card tile wide" },
    h("div", {},
      h("h2", {}, "Reward, before and after"),
      h("div", { class: "figure" }, h("span", { class: "number" }, number(before.mean), h("span", { class: "arrow" }, "→"), number(after.mean))),
      h("p", {}, what)),
    intervals(before, after));
}

/** Both means with their 95 % intervals on one axis. */
function intervals(before, after) {
  const [width, left, right] = [560, 54, 150];
  const ends = [before.low, before.high, after.low, after.high];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const x = (value) => left + (high === low ? 0.5 : (value - low) / (high - low)) * (width - left - right);
  const row = (y, name, { mean, low, high }) => [
    s("text", { x: 0, y: y + 4 }, name),
    s("line", { class: "axis", x1: left - 8, x2: width - right + 8, y1: y, y2: y }),
    s("line", { class: name, x1: x(low), x2: x(high), y1: y, y2: y, "stroke-width": 3, "stroke-linecap": "round" }),
    s("circle", { class: name, cx: x(mean), cy: y, r: 5.5 }),
    s("text", { x: width - right + 18, y: y + 4 }, span(low, high))];
  return s("svg", { class: "intervals", viewBox: `0 0 ${width} 72`, role: "img",
    "aria-label": `95 % intervals: before ${span(before.low, before.high)}, after ${span(after.low, after.high)}` },
    row(28, "before", before), row(56, "after", after),
    s("text", { x: width - right + 18, y: 8 }, "95 % interval"));
}

function changeTile() {
  if (!comparison) return tile("Change", "–");
  const { before, after, difference } = comparison;
  const ratio = change(before.mean, after.mean);
  // An interval around zero is neither good nor bad.
  const certain = !difference || difference.low > 0 || difference.high < 0;
  return tile("Change", h("span", { class: certain ? tone(after.mean - before.mean) : null }, present(ratio) ? percent(ratio) : signed(after.mean - before.mean)),
    h("p", {}, !difference ? (relative ? "relative to the size of the reward before" : "after minus before")
      : relative ? `95 %: ${percent(difference.low / Math.abs(before.mean))} to ${percent(difference.high / Math.abs(before.mean))}, paired by image`
      : `95 %: ${signed(difference.low)} to ${signed(difference.high)}, paired by image`));
}

function queriesTile() {
  return tile("Reward queries", whole(run.reward_queries), h("p", {}, `for training; ${whole(run.evaluation_queries)} more for evaluation`));
}

function klTile() {
  const kl = run.kl_per_trajectory;
  const budget = started.kl_budget;
  if (!present(kl)) return tile("KL per trajectory", "–", h("p", {}, "not measured"));
  const share = present(budget) ? kl / budget : null;
  return tile("KL per trajectory",
    [fixed(1)(kl), h("small", {}, present(budget) ? ` of ${number(budget).replace(/\.?0+$/, "")} nats` : " nats")],
    present(share) ? h("div", { class: share > 1 ? "meter over" : "meter", role: "img", "aria-label": `${Math.round(100 * share)} % of the budget` },
      h("span", { style: `width:${Math.min(100, 100 * share).toFixed(1)}%` })) : null,
    h("p", {}, present(share) ? `${Math.round(100 * share)} % of the budget` : "no budget: the KL weight is fixed"));
}

function timeTile() {
  const total = run.total_seconds;
  return tile("Time", duration(total), h("p", {}, ending?.event === "finished" ? "with evaluations" : "so far, with evaluations"));
}

// ------------------------------------------------------------------------------------------------ curves

const drawn = [];

/** A figure whose plot is drawn again when its width or the colour scheme changes. */
function chart({ title, text, label, wide, options, table }) {
  const plot = h("div", { class: "plot", role: "img", "aria-label": label });
  drawn.push({ plot, options, height: wide ? 300 : 240 });
  return h("figure", { class: wide ? "card chart wide" : "card chart" }, h("figcaption", {}, h("h3", {}, title), h("p", {}, text)), plot, table);
}

function draw(entry) {
  entry.uplot?.destroy();
  const { data, series, bands = [], x, y, log, bars } = entry.options();
  // All of the run, so that the curves stand one below the other and show where an interrupted one stopped.
  const last = Math.max(1, (x === "iteration" ? started.iterations : started.iterations * started.samples) || 0, data[0].at(-1));
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: colour("muted"), font, labelFont: font, grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
  entry.uplot = new uPlot({
    width: entry.plot.clientWidth,
    height: entry.height,
    // A phone scrolls the page over a curve; dragging to zoom would catch the finger.
    cursor: { y: false, drag: { x: matchMedia("(pointer: fine)").matches, y: false }, points: bars ? { show: false } : { size: 7 } },
    scales: {
      x: { time: false, range: (u, low, high) => (zoomed(low, high, data[0]) ? [low, high] : bars ? [-0.6, last + 0.6] : [0, last]) },
      y: log ? { distr: 3 } : bars ? { range: (u, low, high) => [0, (high || 1) * 1.06] } : {},
    },
    axes: [
      { ...axis, label: x, labelSize: 20, size: 30, incrs: [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000, 1024, 2000, 2048, 5000, 10000, 50000, 100000] },
      { ...axis, label: y, labelSize: 20, size: 58,
        values: (u, splits) => splits.map((value) => (present(value) ? minus(String(+value.toPrecision(6))) : "")),
        ...(log ? { filter: (u, splits) => (splits.some((v) => isDecade(v)) ? splits.map((v) => (isDecade(v) ? v : null)) : splits) } : {}) },
    ],
    series: [{ label: x, value: (u, value) => whole(value) }, ...series],
    bands,
  }, data, entry.plot);
}

const zoomed = (low, high, xs) => low > xs[0] || high < xs.at(-1);
const isDecade = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
const point = (name) => ({ show: true, size: 6, fill: colour(name), stroke: colour(name) });
const line = (label, name, more = {}) => ({ label, stroke: colour(name), width: 2, points: point(name), value: (u, value) => number(value), spanGaps: true, ...more });
const edge = (label) => ({ label, class: "edge", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true });
const limit = (label) => ({ label, stroke: colour("limit"), width: 1.5, dash: [6, 4], points: { show: false }, value: (u, value) => number(value), spanGaps: true });

/** Training queries after which iteration k's policy was fixed: those of the iterations before it. */
const queriesBefore = (k) => (k <= 1 ? 0 : iterations.find((entry) => entry.iteration === k - 1)?.reward_queries ?? (k - 1) * started.samples);
const queriesAfter = (k) => queriesBefore(k + 1);

/** Joins [x, ...ys] rows of several curves on x. */
function aligned(...curves) {
  return uPlot.join(curves.filter((rows) => rows.length).map((rows) => rows[0].map((_, column) => rows.map((row) => row[column] ?? null))));
}

function rewardChart() {
  const training = iterations.map((entry) => [queriesBefore(entry.iteration), entry.reward.mean]);
  const held = evaluations.map((entry) => [queriesAfter(entry.iteration), entry.reward.high, entry.reward.low, entry.reward.mean]);
  if (!training.length && !held.length) return null;
  return chart({
    title: "Reward against reward queries", wide: true,
    text: "Each mean stands at the number of queries that its policy had learnt from."
      + (held.length ? " The band is the evaluation's 95 % interval." : ""),
    label: `Curve of the reward against reward queries${comparison ? `: from ${number(comparison.before.mean)} to ${number(comparison.after.mean)}` : ""}. The numbers are in the table below.`,
    options: () => ({
      data: aligned(training, held), x: "reward queries", y: "reward",
      series: [
        ...(training.length ? [line("training samples", "faint", { width: 1.5, points: { ...point("faint"), size: 4 } })] : []),
        ...(held.length ? [edge("high"), edge("low"), line("evaluation", "accent")] : [])],
      bands: held.length ? [{ series: training.length ? [2, 3] : [1, 2], fill: colour("band") }] : [],
    }),
    table: numbers("Reward against reward queries", [
      ["queries", (row) => whole(row.queries)], ["iterations done", (row) => whole(row.done)], ["of", (row) => row.of, true],
      ["mean", (row) => number(row.reward.mean)], ["95 % low", (row) => number(row.reward.low)], ["95 % high", (row) => number(row.reward.high)]],
      [...iterations.map((entry) => ({ queries: queriesBefore(entry.iteration), done: entry.iteration - 1, of: "training samples", reward: entry.reward })),
        ...evaluations.map((entry) => ({ queries: queriesAfter(entry.iteration), done: entry.iteration, of: "evaluation", reward: entry.reward }))]
        .sort((a, b) => a.queries - b.queries)),
  });
}

function klChart() {
  const steps = iterations.filter((entry) => entry.policy).map((entry) => [entry.iteration, entry.policy.kl_per_trajectory]);
  const measured = evaluations.filter((entry) => present(entry.kl_per_trajectory)).map((entry) => [entry.iteration, entry.kl_per_trajectory]);
  if (!steps.length && !measured.length) return null;
  const budget = started.kl_budget;
  const ends = [0, Math.max(started.iterations, 1)];
  return chart({
    title: "KL per trajectory",
    text: "From the pretrained model, in nats: estimated while the policy improves, and measured on the evaluation's trajectories.",
    label: `Curve of the KL per trajectory against iterations, at the end ${fixed(1)(run.kl_per_trajectory)} nats${present(budget) ? ` with a budget of ${budget}` : ""}.`,
    options: () => ({
      data: aligned(steps, measured, present(budget) ? ends.map((k) => [k, budget]) : []), x: "iteration", y: "nats",
      series: [
        ...(steps.length ? [line("training", "faint", { width: 1.5, points: { ...point("faint"), size: 4 } })] : []),
        ...(measured.length ? [line("evaluation", "accent")] : []),
        ...(present(budget) ? [limit("budget")] : [])],
    }),
    table: numbers("KL per trajectory in nats",
      [["iteration", (row) => whole(row.k)], ["training", (row) => fixed(2)(row.steps)], ["evaluation", (row) => fixed(2)(row.measured)]],
      [...new Set([...steps, ...measured].map(([k]) => k))].sort((a, b) => a - b)
        .map((k) => ({ k, steps: steps.find((row) => row[0] === k)?.[1], measured: measured.find((row) => row[0] === k)?.[1] }))),
  });
}

function weightChart() {
  const rows = iterations.filter((entry) => entry.policy && present(entry.policy.kl_weight)).map((entry) => [entry.iteration, entry.policy.kl_weight]);
  if (!rows.length) return null;
  const log = rows.every(([, weight]) => weight > 0) && new Set(rows.map(([, weight]) => weight)).size > 1;
  return chart({
    title: "KL weight",
    text: present(started.kl_budget) ? "η, which the controller moves so that the KL stays within its budget." : "η, fixed by the specification.",
    label: `Curve of the KL weight against iterations, at the end ${number(rows.at(-1)[1])}.`,
    options: () => ({ data: aligned(rows), x: "iteration", y: "η", log, series: [line("KL weight", "accent")] }),
    table: numbers("KL weight", [["iteration", ([k]) => whole(k)], ["η", ([, weight]) => number(weight)]], rows),
  });
}

function lossChart() {
  const rows = iterations.filter((entry) => present(entry.value?.loss)).map((entry) => [entry.iteration, entry.value.loss]);
  if (!rows.length) return null;
  return chart({
    title: "Value loss",
    text: "Mean squared error of the fit, in squared deviations of the pretrained model's reward: 1 is what its mean alone would give.",
    label: `Curve of the value loss against iterations, from ${number(rows[0][1])} to ${number(rows.at(-1)[1])}.`,
    options: () => ({ data: aligned(rows), x: "iteration", y: "loss", series: [line("value loss", "accent")] }),
    table: numbers("Value loss", [["iteration", ([k]) => whole(k)], ["loss", ([, loss]) => number(loss)]], rows),
  });
}

function timeChart() {
  const phases = [["sample", "sampling"], ["score", "scoring"], ["value", "value"], ["policy", "policy"], ["evaluation", "evaluation"], ["other", "other"]];
  const by = new Map();
  const at = (k) => by.get(k) ?? by.set(k, { k, sample: 0, score: 0, value: 0, policy: 0, evaluation: 0, other: 0 }).get(k);
  for (const { iteration, seconds } of iterations) {
    const row = Object.assign(at(iteration), { sample: seconds.sample ?? 0, score: seconds.score ?? 0, value: seconds.value ?? 0, policy: seconds.policy ?? 0 });
    row.other = Math.max(0, (seconds.total ?? 0) - row.sample - row.score - row.value - row.policy);
  }
  for (const { iteration, seconds } of evaluations) at(iteration).evaluation = (seconds?.sample ?? 0) + (seconds?.score ?? 0);
  const rows = [...by.values()].sort((a, b) => a.k - b.k);
  const used = phases.filter(([key]) => rows.some((row) => row[key] > 0));
  if (!used.length) return null;
  const stack = used.map((_, i) => rows.map((row) => used.slice(0, i + 1).reduce((sum, [key]) => sum + row[key], 0)));
  // The tallest is drawn first, and each lower one over it.
  const order = used.map((_, i) => i).reverse();
  return chart({
    // Beside the value loss, where there is one.
    title: "Time by phase", wide: !iterations.some((entry) => entry.value),
    text: "Seconds on the clock. Scoring is what was left to wait for: the rest of it went on beside the model's work.",
    label: `Stacked bars of the seconds that each phase took by iteration; ${duration(run.total_seconds)} in all.`,
    options: () => ({
      data: [rows.map((row) => row.k), ...order.map((i) => stack[i])], x: "iteration", y: "seconds", bars: true,
      series: order.map((i) => ({
        label: used[i][1], stroke: colour(used[i][0]), fill: colour(used[i][0]), width: 0, points: { show: false },
        paths: uPlot.paths.bars({ size: [0.72, 40] }), value: (u, value, index, at) => (present(at) ? fixed(1)(rows[at][used[i][0]]) : "–"),
      })),
    }),
    table: numbers("Seconds by phase", [["iteration", (row) => whole(row.k)], ...used.map(([key, name]) => [name, (row) => fixed(2)(row[key])]),
      ["all", (row) => fixed(2)(used.reduce((sum, [key]) => sum + row[key], 0))]], rows),
  });
}

// ------------------------------------------------------------------------------------------------ the reward

/** What each part of the reward was asked, all rounds together. */
function scoring() {
  const rounds = [...iterations, ...evaluations].map((event) => event.scoring).filter((round) => round?.parts?.length);
  if (!rounds.length) return null;
  const sum = (of) => rounds.reduce((all, round) => all + (of(round) ?? 0), 0);
  const names = [...new Set(rounds.flatMap((round) => round.parts.map((part) => part.name)))];
  const rows = names.map((name) => {
    const parts = rounds.flatMap((round) => round.parts.filter((part) => part.name === name));
    const all = (of) => parts.reduce((total, part) => total + (of(part) ?? 0), 0);
    const most = (of) => Math.max(...parts.map(of));
    const calls = all((part) => part.calls);
    return { name, calls, asked: all((part) => part.asked), retried: all((part) => part.retried), cached: all((part) => part.cached),
      failed: all((part) => part.failed), inFlight: most((part) => part.in_flight),
      typical: calls ? all((part) => part.latency.p50 * part.calls) / calls : null,
      slow: most((part) => part.latency.p99), queued: most((part) => part.queued.p90) };
  });
  const seconds = sum((round) => round.seconds);
  const waited = sum((round) => round.waited);
  const dropped = sum((round) => round.dropped);
  const columns = [["reward", (row) => row.name, true], ["queries", (row) => whole(row.asked)], ["calls", (row) => whole(row.calls)],
    ["retried", (row) => whole(row.retried)], ["cached", (row) => whole(row.cached)], ["failed", (row) => whole(row.failed)],
    ["most at once", (row) => whole(row.inFlight)], ["latency p50", (row) => brief(row.typical)], ["worst p99", (row) => brief(row.slow)],
    ["queued, worst p90", (row) => brief(row.queued)]];
  return h("figure", { class: "card chart wide" },
    h("figcaption", {}, h("h3", {}, "Scoring"),
      h("p", {}, `Scores were under way for ${duration(seconds)}, ${Math.round(100 * Math.max(0, 1 - waited / (seconds || 1)))} % of it hidden behind the model's work; `
        + `${duration(waited)} were left to wait.${dropped ? ` ${whole(dropped)} samples were left out because their query failed for good.` : ""}`)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scoring" },
      h("table", { class: "numbers", "aria-label": "Scoring" },
        h("thead", {}, h("tr", {}, columns.map(([heading, , text]) => h("th", { scope: "col", class: text ? "text" : null }, heading)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([, cell, text]) => h("td", { class: text ? "text" : null }, cell(row)))))))));
}

const brief = (seconds) => (!present(seconds) ? "–" : seconds < 1 ? `${number(1000 * seconds)} ms` : `${number(seconds)} s`);

/** The parts of a sum, as they were given, before they are normalised and weighted. */
function partsChart() {
  const names = [...new Set(iterations.flatMap((entry) => (entry.scoring?.parts ?? []).map((part) => part.name)))];
  if (names.length < 2) return null;
  const mean = (entry, name) => entry.scoring?.parts?.find((part) => part.name === name)?.mean;
  const inks = ["accent", "sample", "value", "policy", "score", "evaluation"];
  return chart({
    title: "Parts of the reward", wide: true,
    text: "Mean of each part over the training samples, as it was given: before it is normalised and weighted.",
    label: `Curves of ${names.length} parts of the reward against iterations.`,
    options: () => ({
      data: [iterations.map((entry) => entry.iteration), ...names.map((name) => iterations.map((entry) => mean(entry, name) ?? null))],
      x: "iteration", y: "score", series: names.map((name, i) => line(name, inks[i % inks.length])),
    }),
    table: numbers("Parts of the reward", [["iteration", (entry) => whole(entry.iteration)], ...names.map((name) => [name, (entry) => number(mean(entry, name))])], iterations),
  });
}

// ------------------------------------------------------------------------------------------------ value by timestep

const R2_LOW = -0.2;

function heatMap() {
  const columns = iterations.filter((entry) => entry.value?.by_timestep?.length);
  if (!columns.length) return null;
  const timesteps = columns[0].value.by_timestep.map((entry) => entry.timestep);
  const dense = columns.length > 24 || timesteps.length > 32;
  const everyColumn = Math.ceil(columns.length / 24);
  const everyRow = dense ? Math.ceil(timesteps.length / 26) : 1;
  const name = (t) => (t < 0 ? "x₀" : String(t));
  const state = (t) => (t < 0 ? "the finished x₀" : `t = ${t}`);
  const cells = columns.map((entry) => new Map(entry.value.by_timestep.map((quality) => [quality.timestep, quality.r2])));
  return h("figure", { class: "card chart wide" },
    h("figcaption", {}, h("h3", {}, "Value R² by timestep, on held-out trajectories"),
      h("p", {}, "How much of the reward's variance the value network explains on each iteration's fresh trajectories, before it was fitted to them. "
        + "Denoising goes downwards, from noise to the finished image; training goes to the right. Below 0 it is worse than the mean.")),
    h("table", { class: dense ? "heat dense" : "heat", "aria-label": "Value R² by timestep and iteration" },
      h("thead", {}, h("tr", {}, h("th", { class: "corner", scope: "col" }, "t"),
        columns.map((entry, i) => h("th", { scope: "col", "aria-label": `iteration ${entry.iteration}` }, i % everyColumn ? "" : String(entry.iteration))))),
      h("tbody", {}, timesteps.map((t, i) => h("tr", {}, h("th", { scope: "row", "aria-label": state(t) }, i % everyRow && t >= 0 ? "" : name(t)),
        columns.map((entry, k) => heatCell(cells[k].get(t), `iteration ${entry.iteration}, ${state(t)}`)))))),
    h("div", { class: "scale", "aria-hidden": "true" }, "≤ −0.2", h("span", { class: "bar" }), "1"));
}

function heatCell(r2, where) {
  if (!present(r2)) return h("td", { class: "none", title: `${where}: undefined` });
  const clipped = Math.max(R2_LOW, Math.min(1, r2));
  const [end, share] = clipped < 0 ? ["low", clipped / R2_LOW] : ["high", clipped];
  return h("td", {
    title: `${where}: ${number(r2)}`,
    style: `background: color-mix(in oklab, var(--heat-${end}) ${(100 * share).toFixed(1)}%, var(--heat-zero)); `
      + `color: var(--heat-ink-${end === "high" && share > 0.5 ? "high" : "low"})`,
  }, minus(r2.toFixed(2)));
}

// ------------------------------------------------------------------------------------------------ before and after

const FIRST_PAIRS = 12;

function grid() {
  if (!pictures.pairs.length) return h("p", { class: "card muted" }, "The run's folder holds no evaluation images.");
  const both = pictures.pairs.some((pair) => pair.after);
  const scored = both && pictures.pairs.every((pair) => present(pair.reward_before) && present(pair.reward_after));
  const scale = Math.max(1, Math.round(112 / Math.max(pictures.width, pictures.height)));
  const shrink = Math.min(1, 128 / Math.max(pictures.width, pictures.height));
  const [width, height] = [pictures.width, pictures.height].map((side) => Math.round(side * (scale > 1 ? scale : shrink)));
  const list = h("ul", { class: pictures.pixelated ? "pairs pixelated" : "pairs", "--side": `${width}px`, "--width": `${width}px`, "--height": `${height}px` });
  const orders = {
    given: (a, b) => 0,
    best: (a, b) => gain(b) - gain(a),
    worst: (a, b) => gain(a) - gain(b),
  };
  const gain = (pair) => pair.reward_after - pair.reward_before;
  let all = pictures.pairs.length <= FIRST_PAIRS;
  let order = "given";
  const more = h("button", { type: "button", class: "more", on: { click: () => { all = true; show(); } } }, `Show all ${pictures.pairs.length} ${both ? "pairs" : "pictures"}`);
  const show = () => {
    const sorted = [...pictures.pairs].sort(orders[order]);
    list.replaceChildren(...(all ? sorted : sorted.slice(0, FIRST_PAIRS)).map(pair));
    more.hidden = all;
  };
  show();
  addEventListener("beforeprint", () => { all = true; show(); });
  const better = pictures.pairs.filter((pair) => gain(pair) > 0).length;
  return [
    h("div", { class: "tools" },
      h("span", {}, both
        ? `Left: before training. Right: after ${pictures.after_iteration} iterations, from the same noise.${scored ? ` The reward rose in ${better} of ${pictures.pairs.length}.` : ""}${pictures.omitted ? ` ${whole(pictures.omitted)} more pairs are in the run's folder.` : ""}`
        : "Before training. No later evaluation is in the run's folder."),
      scored ? h("label", {}, "Order ", h("select", { on: { change: (event) => { order = event.target.value; show(); } } },
        h("option", { value: "given" }, "as evaluated"), h("option", { value: "best" }, "largest gain first"), h("option", { value: "worst" }, "smallest gain first"))) : null),
    list, more];
}

function pair({ prompt, seed, before, after, reward_before, reward_after, kl }) {
  const name = prompt || "unconditional";
  const image = (source, when, reward) => (source
    ? h("img", { src: source, alt: `${name}, ${when} training, seed ${seed}${present(reward) ? `, reward ${number(reward)}` : ""}`, width: pictures.width, height: pictures.height })
    : h("div", { class: "missing" }, "no image"));
  const ratio = present(reward_before) && present(reward_after) ? change(reward_before, reward_after) : null;
  return h("li", { class: "card pair" },
    h("div", { class: "images" }, image(before, "before", reward_before),
      pictures.pairs.some((entry) => entry.after) ? [h("span", { class: "arrow", "aria-hidden": "true" }, "→"), image(after, "after", reward_after)] : null),
    h("p", { class: "prompt", title: prompt || null }, name),
    h("p", { class: "rewards" }, number(reward_before),
      present(reward_after) ? [h("span", { class: "arrow" }, "→"), number(reward_after), " ", h("b", { class: tone(reward_after - reward_before) }, present(ratio) ? percent(ratio) : signed(reward_after - reward_before))] : null),
    h("p", { class: "rewards muted" }, `seed ${seed}${present(kl) ? ` · KL ${fixed(1)(kl)} nats` : ""}`));
}

// ------------------------------------------------------------------------------------------------ the rest

function results() {
  const saved = run.export
    ? [h("p", {}, "The adapter: ", h("a", { href: "export/pytorch_lora_weights.safetensors" }, h("code", {}, run.export))),
      run.snippet ? [h("p", { class: "muted" }, "Drawn with plain diffusers:"), h("pre", {}, h("code", {}, run.snippet))] : null]
    : h("p", { class: "muted" }, "Nothing was exported yet.");
  return h("div", { class: "columns" },
    h("section", { class: "card" }, h("h3", {}, "Export"), saved),
    h("section", { class: "card" }, h("h3", {}, "Specification"),
      h("pre", { class: "specification", tabindex: "0", "aria-label": "Specification" }, h("code", {}, run.specification || "not in the run's folder"))));
}

document.title = `${started.name ?? started.run_id} · vard`;
const charts = [rewardChart(), partsChart(), klChart(), weightChart(), heatMap(), lossChart(), timeChart(), scoring()].filter(present);
page.append(headline(), tiles());
if (charts.length) page.append(h("h2", {}, "Curves"), h("div", { class: "charts" }, charts));
page.append(h("h2", {}, "Before and after"), ...[grid()].flat(), h("h2", {}, "To use it, to repeat it"), results(),
  h("footer", {}, "Written by vard from the run's metrics.jsonl. Curves: uPlot, MIT licence."));

drawn.forEach(draw);
new ResizeObserver(() => drawn.forEach((entry) => {
  const width = entry.plot.clientWidth;
  if (width && width !== entry.uplot.width) entry.uplot.setSize({ width, height: entry.height });
})).observe(page);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
