// Figures and rows of one query, kept whole in the address: on the left what is asked, on the
// right its chart and its table, and from every figure down to what is behind it and up again.

import { describe, address, measureLabel, PAGE_ROWS, rangeText, readState, regionNames, type State, textWords, tidy } from "./explore/query";
import { howPanel, showFeed } from "./explore/how";
import { renderRail } from "./explore/rail";
import { calcDialog, copyDialog, exportDialog, viewsDialog } from "./explore/share";
import { ApiError, api, byId, h, message, pageData, send, t } from "./lib/dom";
import { Chart, type Option } from "./lib/chart";
import { decimal } from "./lib/format";
import { cellText, dimColumn, renderTable } from "./lib/table";
import type { Calc, Cell, DatasetView, Drill, Json, Query, Table } from "./lib/types";

interface Page {
  datasets: Record<string, DatasetView>;
  rowPages: Record<string, string>;
  exportRows: number;
  roles: [string, string][];
  plan: boolean;
  user: string;
}

interface Drawn {
  kind: string;
  kinds: string[];
  measure: string;
  option: Option;
}

const page = pageData<Page>();
/** Cursors of the pages before, newest last; empty on the first page. */
let before: (string | null)[] = [];
let chart: Chart | null = null;
let turn = 0;

function go(state: State, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", address(state));
  before = [];
  void show();
}

/** Another question at the same step of the way. */
function change(state: State, query: Query): void {
  const other = query.dataset !== state.query.dataset;
  go({ ...state, query: tidy(query), trail: other ? [] : state.trail, label: other ? "" : state.label, chart: other ? null : state.chart, measure: query.measures?.includes(state.measure ?? "") || query.calc?.some((c) => c.name === state.measure) ? state.measure : null });
}

async function show(): Promise<void> {
  const mine = ++turn;
  const result = byId("result");
  const id = new URLSearchParams(location.search).get("view");
  if (id) {
    try {
      const view = await api<{ query: Query; chart: string | null; name: string }>("GET", `/api/v1/views/${encodeURIComponent(id)}`);
      go({ query: view.query, trail: [], label: view.name, chart: view.chart, measure: null }, true);
    } catch (error) {
      result.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
      result.setAttribute("aria-busy", "false");
    }
    return;
  }
  const state = readState(page.datasets);
  const dataset = state ? page.datasets[state.query.dataset] : undefined;
  if (!state || !dataset) {
    byId("query").replaceChildren();
    result.setAttribute("aria-busy", "false");
    result.replaceChildren(h("p", { class: "empty" }, state ? t(`没有数据集「${state.query.dataset}」，或您无权查看。`, "There is no such dataset, or you may not see it.") : t("地址里的查询无法读取。", "The query in the address cannot be read.")),
      h("ul", { class: "cards" }, Object.values(page.datasets).slice(0, 60).map((d) => h("li", { class: "card" }, h("a", { href: `/explore?dataset=${d.name}` }, h("b", null, d.label))))));
    return;
  }
  const { query } = state;
  head(dataset, state);
  rail(dataset, state);
  showFeed(byId("feed"), dataset);
  result.setAttribute("aria-busy", "true");
  const rows = Boolean(query.rows?.length);
  const asked: Query = { ...query, limit: query.limit ?? (rows ? PAGE_ROWS : 1000), cursor: query.cursor ?? null };
  try {
    const response = await send("POST", "/api/v1/query/chart", { query: asked, kind: state.chart, measure: state.measure });
    const answer = (await response.json()) as { table: Table; chart: Drawn | null };
    if (mine !== turn) return;
    for (const column of answer.table.columns) for (const [code, name] of Object.entries(column.labels ?? {})) if (/^31\d{4}/.test(code)) regionNames.set(code, name);
    rail(dataset, state);
    render(dataset, state, answer.table, answer.chart, response.headers.get("server-timing"));
  } catch (error) {
    if (mine !== turn) return;
    chart?.close();
    chart = null;
    const denied = error instanceof ApiError && error.status === 403;
    result.replaceChildren(h("div", { class: denied ? "empty" : "error", role: "alert" }, h("p", null, message(error)), state.trail.length ? h("button", { type: "button", onclick: () => history.back() }, t("← 返回上一步", "← Back")) : null));
  } finally {
    if (mine === turn) result.setAttribute("aria-busy", "false");
  }
}

/** The controls are drawn anew; the one that was used keeps the focus. */
function rail(dataset: DatasetView, state: State): void {
  const focused = document.activeElement instanceof HTMLElement && byId("query").contains(document.activeElement) ? document.activeElement.id : "";
  byId("query").replaceChildren(...renderRail({ datasets: page.datasets, dataset, query: state.query, go: (query) => change(state, query), editCalc: (calc) => editCalc(dataset, state, calc) }));
  if (focused) document.getElementById(focused)?.focus();
}

function editCalc(dataset: DatasetView, state: State, calc: Calc | null): void {
  const query = { ...state.query };
  calcDialog(dataset, query, calc, (made) => {
    const list = (query.calc ?? []).filter((c) => c !== calc);
    change(state, { ...query, calc: [...list, made] });
  });
}

function head(dataset: DatasetView, state: State): void {
  const { query, trail } = state;
  const rows = Boolean(query.rows?.length);
  const measures = (query.measures ?? []).map((name) => measureLabel(dataset, page.datasets, query, name));
  byId("title").textContent = rows ? t(`${dataset.label} 明细`, `${dataset.label}: rows`) : `${dataset.label} · ${measures.slice(0, 3).join("、")}${measures.length > 3 ? "…" : ""}`;
  byId("subtitle").textContent = [dataset.time ? rangeText(query) : "", state.label].filter(Boolean).join(" · ");
  document.title = `${byId("title").textContent} · ${t("纵览", "Zonglan")}`;
  const steps = trail.map((step, i) => {
    const to: State = { ...state, query: step.query, label: step.label, trail: trail.slice(0, i), chart: null, measure: null };
    return h("a", { href: address(to), "data-step": String(i), onclick: (e: MouseEvent) => {
      if (e.metaKey || e.ctrlKey || e.shiftKey) return;
      e.preventDefault();
      go(to);
    } }, step.label || describe(dataset, page.datasets, step.query));
  });
  byId("crumbs").replaceChildren(h("a", { href: "/explore" }, t("数据查询", "Explore")), h("a", { href: `/explore?dataset=${dataset.name}` }, dataset.label), ...steps, h("span", { "aria-current": "page" }, state.label || describe(dataset, page.datasets, query)));
  const only = query.measures?.length === 1 ? query.measures[0] : undefined;
  byId("actions").replaceChildren(
    ...(trail.length ? [h("button", { type: "button", id: "roll-up", onclick: () => {
      const last = trail[trail.length - 1];
      if (last) go({ ...state, query: last.query, label: last.label, trail: trail.slice(0, -1), chart: null, measure: null });
    } }, t("↑ 上卷", "↑ Roll up"))] : []),
    h("button", { type: "button", id: "views", onclick: () => void viewsDialog({ roles: page.roles, state: () => state, open: (q, kind, name) => go({ query: q, trail: [], label: name, chart: kind, measure: null }) }) }, t("视图", "Views")),
    h("button", { type: "button", id: "copy", onclick: () => copyDialog(state) }, t("复制", "Copy")),
    ...(page.exportRows > 0 ? [h("button", { type: "button", id: "export", onclick: () => exportDialog(query, page.exportRows) }, t("导出", "Export"))] : []),
    h("a", { class: "button", href: only && !only.includes(".") ? `/indicators/${dataset.name}/${only}` : `/datasets/${dataset.name}` }, t("口径", "Definition")));
}

const KINDS: Record<string, string> = { line: t("折线", "Line"), bar: t("柱形", "Bars"), pie: t("饼图", "Pie"), choropleth: t("地图", "Map"), grid: t("热力", "Heat"), scatter: t("散点", "Scatter") };

function render(dataset: DatasetView, state: State, table: Table, drawn: Drawn | null, timing: string | null): void {
  const { query } = state;
  const rows = Boolean(query.rows?.length);
  const result = byId("result");
  chart?.close();
  chart = null;
  if (!table.rows.length) {
    result.replaceChildren(...notes(table), h("div", { class: "empty" }, h("p", null, t("没有符合条件的数据。", "Nothing meets these conditions.")), query.where ? h("button", { type: "button", onclick: () => change(state, { ...query, where: undefined }) }, t("去掉全部条件", "Drop all filters")) : null), howPanel(query, table, timing, page.plan));
    return;
  }
  if (query.pivot) nameSpread(dataset, query, table);
  const key = dataset.key.length === 1 ? table.columns.findIndex((c) => c.name === dataset.key[0]) : -1;
  const base = page.rowPages[dataset.name];
  const words = textWords(query.where);
  const view = renderTable(table, {
    dataset, query,
    sort: (name) => go({ ...state, query: { ...query, order: [query.order?.[0] === `-${name}` ? name : `-${name}`], cursor: undefined } }, true),
    href: (row) => {
      if (!rows || key < 0 || !base) return null;
      const tail = base === "/cases/" ? `?dataset=${dataset.name}${words ? `&q=${encodeURIComponent(words)}` : ""}` : "";
      return base + encodeURIComponent(String(row[key])) + tail;
    },
    drill: (cell, anchor) => void drill(dataset, state, table, cell, anchor),
  });
  const shown = before.length * (query.limit ?? PAGE_ROWS);
  const total = table.meta.total;
  const count = rows
    ? `${decimal(shown + 1)}–${decimal(shown + table.rows.length)} / ${total === undefined ? "…" : decimal(total)} ${t("条", "rows")}`
    : `${decimal(table.rows.length)}${total !== undefined && total > table.rows.length ? ` / ${decimal(total)}` : ""} ${t("组", "groups")}`;
  const pager = rows && (table.meta.cursor || before.length) ? h("nav", { class: "pager", "aria-label": t("翻页", "Pages") },
    h("button", { type: "button", disabled: !before.length, onclick: () => turnTo(state, before.pop() ?? null) }, t("上一页", "Previous")),
    h("button", { type: "button", disabled: !table.meta.cursor, onclick: () => {
      before.push(query.cursor ?? null);
      turnTo(state, table.meta.cursor ?? null);
    } }, t("下一页", "Next"))) : null;
  const hidden = table.meta.suppressed ? t(`，${table.meta.suppressed} 个小数值不显示`, `, ${table.meta.suppressed} small figures hidden`) : "";
  const box = h("div", { class: "chart-box" });
  const tools = drawn ? chartTools(dataset, state, table, drawn) : null;
  const right = h("div", { class: "table-box" }, view, h("div", { class: "result-foot" }, h("span", { class: "num" }, count + hidden), pager));
  const figure = query.by?.length || rows ? null : headline(table);
  result.replaceChildren(...notes(table), h("div", { class: drawn ? "split" : "split whole" }, drawn ? h("figure", { class: "chart-side" }, tools, box) : figure, right), howPanel(query, table, timing, page.plan));
  if (drawn) {
    chart = new Chart(box, (cell) => void drill(dataset, state, table, cell, box));
    void chart.draw(drawn.option).catch((error: unknown) => box.replaceChildren(h("p", { class: "empty" }, message(error))));
  }
}

/** Figures without dimensions stand large. */
function headline(table: Table): HTMLElement {
  const row = table.rows[0] ?? [];
  return h("dl", { class: "headline" }, table.columns.filter((c) => !/_(prev|delta|pct)$/.test(c.name)).map((column) => {
    const at = table.columns.indexOf(column);
    const pct = table.columns.findIndex((c) => c.name === `${column.name}_pct`);
    const moved = pct >= 0 ? row[pct] : null;
    return h("div", null, h("dt", null, column.label || column.name), h("dd", { class: "num" }, cellText(column, row[at] ?? null) || "–", column.unit ? h("small", null, ` ${column.unit}`) : null), typeof moved === "number" ? h("span", { class: "num hint" }, `${moved > 0 ? "+" : ""}${decimal(moved, 1)}%`) : null);
  }));
}

function chartTools(dataset: DatasetView, state: State, table: Table, drawn: Drawn): HTMLElement {
  const names = table.columns.filter((c) => state.query.measures?.includes(c.name.split("@")[0] ?? "") || state.query.calc?.some((x) => x.name === c.name.split("@")[0])).map((c) => c.name.split("@")[0] ?? "");
  const unique = [...new Set(names)];
  return h("figcaption", { class: "chart-tools" },
    h("div", { class: "segments", role: "group", "aria-label": t("图形", "Chart") }, drawn.kinds.map((kind) => h("button", { type: "button", "aria-pressed": kind === drawn.kind ? "true" : "false", onclick: () => go({ ...state, chart: kind }, true) }, KINDS[kind] ?? kind))),
    unique.length > 1 ? h("select", { "aria-label": t("纵轴指标", "Measure on the axis"), onchange: (e: Event) => go({ ...state, measure: (e.target as HTMLSelectElement).value }, true) }, unique.map((name) => h("option", { value: name, selected: name === drawn.measure }, measureLabel(dataset, page.datasets, state.query, name)))) : null);
}

/** What the answer says of itself. */
function notes(table: Table): HTMLElement[] {
  return (table.meta.notes ?? []).map((note) => h("p", { class: "note", role: "note" }, t(note.zh, note.en)));
}

/** The heads of a pivot: the value, and the figure where there are several. */
function nameSpread(dataset: DatasetView, query: Query, table: Table): void {
  const figures = new Set(table.columns.filter((c) => c.pivot !== undefined).map((c) => c.name.split("@")[0]));
  const dim = (query.by ?? []).find((d) => dimColumn(d) === query.pivot);
  const field = typeof dim === "string" ? dataset.fields.find((f) => f.name === dim) : undefined;
  const month = query.pivot === "month" || query.pivot?.endsWith("_month");
  for (const column of table.columns) {
    if (column.pivot === undefined) continue;
    const figure = column.name.split("@")[0] ?? "";
    const value = column.pivot;
    const text = value === null ? t("（空）", "(none)") : (field?.codes.find(([c]) => c === value)?.[1] ?? regionNames.get(String(value)) ?? (month ? String(value).slice(0, 7) : cellText({ ...column, name: query.pivot ?? "", type: "text" }, value)));
    column.label = figures.size > 1 ? `${text} · ${measureLabel(dataset, page.datasets, query, figure.replace(/_(prev|delta|pct)$/, ""))}${/_(prev|delta|pct)$/.exec(figure)?.[0].replace("_prev", t(" 对比期", " before")).replace("_delta", t(" 增减", " diff")).replace("_pct", " %") ?? ""}` : text;
  }
}

/** Pages keep the list of those before; the address holds the page itself. */
function turnTo(state: State, cursor: string | null): void {
  history.replaceState(null, "", address({ ...state, query: { ...state.query, cursor: cursor ?? undefined } }));
  void show();
  window.scrollTo({ top: 0 });
}

// ---- from a figure on ----

/** The values of a cell as people read them. */
function cellName(query: Query, table: Table, cell: Cell): string {
  return (query.by ?? []).map((dim) => {
    const name = dimColumn(dim);
    const column = table.columns.find((c) => c.name === name);
    const value: Json | undefined = cell[name];
    if (value === undefined) return "";
    return value === null ? t("（空）", "(none)") : column ? cellText(column, value) : (regionNames.get(String(value)) ?? String(value).slice(0, 10));
  }).filter(Boolean).join(" ");
}

async function drill(dataset: DatasetView, state: State, table: Table, cell: Cell, anchor: HTMLElement): Promise<void> {
  const { query } = state;
  document.querySelector(".menu")?.remove();
  const menu = h("div", { class: "menu", role: "menu" }, h("span", { class: "hint" }, "…"));
  const at = anchor.getBoundingClientRect();
  const chartClick = anchor.classList.contains("chart-box");
  menu.style.left = `${Math.max(8, Math.min((chartClick ? at.left + at.width / 2 - 90 : at.left) + window.scrollX, window.scrollX + document.documentElement.clientWidth - 200))}px`;
  menu.style.top = `${(chartClick ? at.top + at.height / 3 : at.bottom) + window.scrollY + 4}px`;
  document.body.append(menu);
  const end = () => {
    menu.remove();
    document.removeEventListener("click", close, true);
    document.removeEventListener("keydown", keys);
  };
  const close = (event: Event) => {
    if (!menu.contains(event.target as Node) && !anchor.contains(event.target as Node)) end();
  };
  const keys = (event: KeyboardEvent) => {
    const items = Array.from(menu.querySelectorAll<HTMLElement>("a"));
    const place = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") {
      end();
      anchor.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      items[(place + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length]?.focus();
    }
  };
  document.addEventListener("click", close, true);
  document.addEventListener("keydown", keys);
  try {
    const dims = new Set((query.by ?? []).map(dimColumn));
    const wanted = Object.fromEntries(Object.entries(cell).filter(([name]) => dims.has(name)));
    const flat: Query = { ...query, pivot: undefined, order: undefined, calc: undefined };
    const { drills } = await api<{ drills: Drill[] }>("POST", "/api/v1/query/drills", { query: tidy(flat), cell: wanted });
    const name = cellName(query, table, wanted);
    const trail = [...state.trail, { label: state.label || describe(dataset, page.datasets, query), query: { ...query, cursor: undefined } }];
    const rank: Record<string, number> = { rows: 0, finer: 1, time: 2, dimension: 3, coarser: 4, definition: 5 };
    const ordered = [...drills].sort((a, b) => (rank[a.kind] ?? 9) - (rank[b.kind] ?? 9));
    menu.replaceChildren(...(name ? [h("span", { class: "menu-head" }, name)] : []), ...ordered.map((d) => {
      if (d.kind === "definition" || !d.href.startsWith("/explore")) return h("a", { href: d.href, role: "menuitem" }, d.label);
      const up = d.kind === "coarser";
      const next: State = { query: d.query, trail, label: up ? d.label : [name, d.label].filter(Boolean).join(" "), chart: null, measure: null };
      return h("a", { href: address(next), role: "menuitem", "data-kind": d.kind, onclick: (e: MouseEvent) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey) return;
        e.preventDefault();
        end();
        go(next);
      } }, up ? `↑ ${d.label}` : d.label);
    }));
    menu.querySelector<HTMLElement>("a")?.focus();
  } catch (error) {
    menu.replaceChildren(h("p", { class: "error" }, message(error)));
  }
}

window.addEventListener("popstate", () => {
  before = [];
  document.querySelector(".menu")?.remove();
  void show();
});
const folded = byId<HTMLDetailsElement>("asked");
folded.open = !window.matchMedia("(max-width: 60rem)").matches;
void show();
