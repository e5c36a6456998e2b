// What the last request has done, drawn as a waterfall in a panel. As long as the panel is open, requests are explained.
class Explanations {
  constructor() {
    this.isOpen = false;
    this.plans = false;
    this.told = null;
    this.refused = "";
    this.listeners = new Set();
  }

  headers() {
    return this.isOpen ? { "X-Explain": this.plans ? "plans" : "1" } : {};
  }

  // Takes the explanation out of an answer: the panel shows it, and the answer stays short.
  take(answer) {
    const { explain, ...extensions } = answer.extensions ?? {};
    this.refused = explain ? "" : (answer.errors?.[0]?.message ?? "The answer has no explanation.");
    this.told = explain ?? null;
    this.changed();
    if (!explain) return answer;
    const { extensions: _, ...others } = answer;
    return Object.keys(extensions).length ? { ...others, extensions } : others;
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  plugin() {
    const h = React.createElement;
    return { title: "Explain", icon: () => icon(h), content: () => h(ExplainPanel, { explanations: this }) };

    function icon(h) {
      const bar = (x, y, width) => h("rect", { x, y, width, height: 3.5, rx: 1, fill: "currentColor" });
      return h("svg", { viewBox: "0 0 24 24", "aria-hidden": true }, bar(2, 4, 9), bar(7, 10.2, 12), bar(13, 16.5, 9));
    }
  }
}

function ExplainPanel({ explanations }) {
  const h = React.createElement;
  const [, draw] = React.useReducer((count) => count + 1, 0);
  const [chosen, choose] = React.useState(null);
  React.useEffect(() => {
    explanations.isOpen = true;
    const listener = () => {
      choose(null);
      draw();
    };
    explanations.listeners.add(listener);
    return () => {
      explanations.isOpen = false;
      explanations.listeners.delete(listener);
    };
  }, []);
  const { told, refused } = explanations;
  const switchPlans = (event) => {
    explanations.plans = event.target.checked;
    draw();
  };
  const rows = told ? rowsOf(told) : [];
  return h("section", { className: "explain", "aria-label": "Explain" },
    h("div", { className: "graphiql-doc-explorer-title" }, "Explain"),
    h("label", null, h("input", { type: "checkbox", checked: explanations.plans, onChange: switchPlans }),
      " the stores' plans, too"),
    refused && h("p", { role: "alert" }, refused),
    !told && !refused && h("p", null, "Run a query: what it asks of the stores is drawn here."),
    told && h(Summary, { told }),
    told && h("div", { className: "waterfall", role: "list" },
      h(Ruler, { ms: told.ms }),
      rows.map((row, index) => h(Row, { key: index, row, total: told.ms, isChosen: chosen === index,
        choose: () => choose(index) }))),
    told && (rows[chosen] ? h(Details, { row: rows[chosen] })
      : rows.length > 0 && h("p", { className: "hint" }, "Point at a bar to see what it was.")),
    told && told.plan.length > 0 && h(PlanOf, { plan: told.plan }));
}

// Each batch, and below it what it has sent; then what was sent without a batch.
function rowsOf({ batches, calls }) {
  const alone = calls.filter((call) => call.batch === null).map((call) => [{ call, depth: 0 }]);
  const groups = batches.map((batch, index) => [
    { batch, depth: 0 },
    ...calls.filter((call) => call.batch === index).map((call) => ({ call, depth: 1 })),
  ]);
  const began = ([{ batch, call }]) => (batch ?? call).began;
  return [...groups, ...alone].sort((one, other) => began(one) - began(other)).flat();
}

// How long at least one of these was under way.
function covered(spans) {
  let end = 0;
  let sum = 0;
  for (const { began, ms } of [...spans].sort((one, other) => one.began - other.began)) {
    sum += Math.max(0, began + ms - Math.max(end, began));
    end = Math.max(end, began + ms);
  }
  return sum;
}

function Summary({ told }) {
  const h = React.createElement;
  const of = (store) => told.calls.filter((call) => call.store === store);
  const chip = (store) => {
    const calls = of(store);
    return h("span", { key: store, className: `chip ${store.toLowerCase()}` },
      `${store} ${calls.length} · ${inMs(covered(calls))}`);
  };
  return h("p", { className: "summary" }, h("strong", null, inMs(told.ms)), ["PostgreSQL", "MongoDB"].map(chip),
    h("span", { className: "chip api" }, `API ${inMs(told.ms - covered(told.calls))}`));
}

function Ruler({ ms }) {
  const h = React.createElement;
  return h("div", { className: "ruler", "aria-hidden": true },
    [0, 0.25, 0.5, 0.75].map((part) => h("span", { key: part, style: { left: `${part * 100}%` } }, inMs(ms * part))));
}

function Row({ row, total, isChosen, choose }) {
  const h = React.createElement;
  const { batch, call, depth } = row;
  const of = batch ?? call;
  const name = batch ? `${batch.fields.join(", ") || batch.loader}` : `${call.kind} ${call.target ?? ""}`;
  const many = batch ? `${batch.keys} ${batch.keys === 1 ? "key" : "keys"}`
    : call.rows === null ? "" : `${call.rows} ${call.rows === 1 ? "row" : "rows"}`;
  const store = batch ? "batch" : call.store.toLowerCase();
  const failed = of.error ? " failed" : "";
  const shared = call?.sharedWith ? ` · shared with ${call.sharedWith}` : "";
  const style = { left: `${(of.began / total) * 100}%`, width: `${(of.ms / total) * 100}%` };
  return h("button", { type: "button", role: "listitem", className: `row depth-${depth}`, "aria-pressed": isChosen,
      onMouseEnter: choose, onFocus: choose, onClick: choose },
    h("span", { className: "name" }, name.trim(), h("small", null, ` ${many}${shared}`)),
    h("span", { className: "time" }, inMs(of.ms)),
    h("span", { className: "track" }, h("span", { className: `bar ${store}${failed}${shared ? " shared" : ""}`, style })));
}

function Details({ row: { batch, call } }) {
  const h = React.createElement;
  const of = batch ?? call;
  const facts = batch
    ? [["Loader", batch.loader], ["Asked by", batch.fields.join(", ")], ["Keys", batch.keys],
        ["Columns", batch.columns.join(", ")]]
    : [["Store", call.store], ["Asked by", call.fields.join(", ")], ["Keys", call.keys], ["Rows", call.rows],
        ["Shared with", call.sharedWith ? `${call.sharedWith} other requests` : ""]];
  const when = `${inMs(of.began)} to ${inMs(of.began + of.ms)}`;
  return h("div", { className: "details", role: "status" },
    h("dl", null, [["When", when], ...facts, ["Error", of.error]]
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => [h("dt", { key: name }, name), h("dd", { key: `${name}:` }, String(value))])),
    call && h("pre", null, call.store === "MongoDB" ? pretty(call.text) : call.text),
    call?.plan && h("details", { open: true }, h("summary", null, `${call.store}'s plan`),
      h("pre", null, JSON.stringify(call.plan, null, 1))));
}

function PlanOf({ plan }) {
  const h = React.createElement;
  const level = ({ path, type, read, loaded, resolved }, index) => {
    const depth = path ? path.split(".").length : 0;
    const parts = [
      read.length && `read ${read.join(", ")}`,
      loaded.length && `load ${loaded.map(({ key, loaders }) => `${key} (${loaders.join(", ") || "nothing"})`).join(", ")}`,
      resolved.length && `resolve ${resolved.join(", ")}`,
    ].filter(Boolean);
    return h("li", { key: index, style: { marginLeft: `${depth * 12}px` } }, h("strong", null, type), ` ${parts.join("; ")}`);
  };
  return h("details", { className: "plan" }, h("summary", null, `Plan: ${plan.length} levels`), h("ul", null, plan.map(level)));
}

function inMs(ms) {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}
