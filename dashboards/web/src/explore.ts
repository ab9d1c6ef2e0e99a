// Figures and rows of one query, kept whole in the address: conditions as chips, sorting,
// pages, exports, and from every figure to what is behind it.

import { ApiError, api, byId, download, h, message, pageData, send, t } from "./lib/dom";
import { decimal, minute, period } from "./lib/format";
import { dimColumn, renderTable } from "./lib/table";
import type { Cell, DatasetView, Dim, Drill, FieldView, Json, Query, Table } from "./lib/types";

interface Page {
  datasets: Record<string, DatasetView>;
  rowPages: Record<string, string>;
  mayExport: boolean;
}

const page = pageData<Page>();
const PAGE_ROWS = 50;
/** Cursors of the pages before, newest last; empty on the first page. */
let before: (string | null)[] = [];

// ---- the query in the address ----

function read(): Query | null {
  const params = new URLSearchParams(location.search);
  const text = params.get("q");
  if (text) {
    try {
      return JSON.parse(text) as Query;
    } catch {
      return null;
    }
  }
  const dataset = params.get("dataset") ?? (page.datasets.incident ? "incident" : Object.keys(page.datasets)[0]);
  return dataset ? start(dataset) : null;
}

/** The first question of a dataset: its first measure by month or by its first code. */
function start(name: string): Query | null {
  const dataset = page.datasets[name];
  if (!dataset) return null;
  const measure = dataset.measures[0];
  if (!measure) return rowsQuery(dataset, { dataset: name });
  const code = dataset.fields.find((f) => f.type === "code" && f.sensitivity !== "personal");
  const query: Query = { dataset: name, measures: [measure.name], by: dataset.time ? [{ time: "month" }] : code ? [code.name] : [] };
  if (dataset.time) query.range = { last: "12m" };
  return query;
}

function rowsQuery(dataset: DatasetView, from: Query): Query {
  const query: Query = { dataset: dataset.name, rows: dataset.list, limit: PAGE_ROWS };
  if (from.where && Object.keys(from.where).length) query.where = from.where;
  if (from.range) query.range = from.range;
  if (dataset.time) query.order = [`-${dataset.time}`];
  return query;
}

function go(query: Query, replace = false): void {
  const url = `/explore?q=${encodeURIComponent(JSON.stringify(query))}`;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  before = [];
  void show();
}

// ---- conditions ----

type Where = { [key: string]: Json };

/** The conditions that all must hold; anything more complex is one chip. */
function conditions(where: Where | undefined): Where[] {
  if (!where || !Object.keys(where).length) return [];
  const and = where.and;
  const list = Array.isArray(and) && Object.keys(where).length === 1 ? (and as Where[]) : Object.entries(where).map(([k, v]) => ({ [k]: v }));
  return list.flatMap((one) => (Object.keys(one).length > 1 ? Object.entries(one).map(([k, v]) => ({ [k]: v })) : [one]));
}

function withConditions(query: Query, list: Where[]): Query {
  const next: Query = { ...query, cursor: undefined };
  delete next.where;
  const [only] = list;
  if (list.length === 1 && only) next.where = only;
  else if (list.length) next.where = { and: list as Json[] };
  return next;
}

const OPERATORS: Record<string, string> = {
  eq: "=", ne: "≠", in: "∈", not_in: "∉", gt: ">", gte: "≥", lt: "<", lte: "≤",
  prefix: t("属于", "in"), is_null: t("为空", "missing"), text: t("包含", "contains"),
};

function conditionText(dataset: DatasetView, one: Where): string {
  const [name, test] = Object.entries(one)[0] ?? ["", null];
  if (name === "not") return `${t("非", "not")} (${conditionText(dataset, test as Where)})`;
  if (name === "and" || name === "or") return (test as Where[]).map((c) => conditionText(dataset, c)).join(name === "and" ? t(" 且 ", " and ") : t(" 或 ", " or "));
  const field = dataset.fields.find((f) => f.name === name);
  const say = (v: Json): string => (Array.isArray(v) ? v.map(say).join("、") : typeof v === "boolean" ? (v ? t("是", "yes") : t("否", "no")) : (field?.codes.find(([c]) => c === v)?.[1] ?? regionNames.get(String(v)) ?? String(v)));
  return Object.entries(test as Where).map(([op, v]) => (op === "is_null" ? `${field?.label ?? name} ${v ? t("为空", "is missing") : t("有值", "is given")}` : `${field?.label ?? name} ${OPERATORS[op] ?? op} ${say(v)}`)).join(" ");
}

const regionNames = new Map<string, string>();

function rangeText(query: Query): string {
  const range = query.range;
  if (!range || !Object.keys(range).length) return t("全部时间", "all time");
  if (range.last) return period(range.last);
  const names: Record<string, string> = { day: t("今日", "today"), week: t("本周", "this week"), month: t("本月", "this month"), quarter: t("本季", "this quarter"), year: t("本年", "this year") };
  const past: Record<string, string> = { day: t("昨日", "yesterday"), week: t("上周", "last week"), month: t("上月", "last month"), quarter: t("上季", "last quarter"), year: t("上年", "last year") };
  if (range.this) return names[range.this] ?? range.this;
  if (range.previous) return past[range.previous] ?? range.previous;
  return `${range.from ? minute(range.from) : "…"} – ${range.to ? minute(range.to) : "…"}`;
}

// ---- controls ----

const GRAINS: [string, string][] = [["year", t("按年", "by year")], ["quarter", t("按季", "by quarter")], ["month", t("按月", "by month")], ["week", t("按周", "by week")], ["day", t("按日", "by day")], ["hour_of_day", t("按时段", "by hour")], ["weekday", t("按星期", "by weekday")]];
const RANGES = ["7d", "30d", "90d", "12m", "3y"];

function select(label: string, options: [string, string][], value: string, change: (value: string) => void): HTMLElement {
  const list = options.some(([v]) => v === value) ? options : [...options, [value, value] as [string, string]];
  return h("label", null, label, h("select", { onchange: (e: Event) => change((e.target as HTMLSelectElement).value) }, list.map(([v, text]) => h("option", { value: v, selected: v === value }, text))));
}

function dimKey(dim: Dim | undefined): string {
  if (dim === undefined) return "";
  return typeof dim === "string" ? dim : JSON.stringify(dim);
}

function controls(dataset: DatasetView, query: Query): void {
  const rows = Boolean(query.rows?.length);
  const names = Object.values(page.datasets).map((d) => [d.name, d.label] as [string, string]);
  const first: (HTMLElement | null)[] = [
    select(t("数据集", "Dataset"), names, dataset.name, (name) => {
      const next = start(name);
      if (next) go(next);
    }),
    select(t("显示", "Show"), [["figures", t("统计", "figures")], ["rows", t("明细", "rows")]], rows ? "rows" : "figures", (mode) => {
      const figures = start(dataset.name);
      if (mode === "rows") go(rowsQuery(dataset, query));
      else if (figures) go({ ...figures, where: query.where, range: query.range });
    }),
  ];
  if (dataset.time) {
    const value = query.range?.last ?? (query.range && Object.keys(query.range).length ? "fixed" : "");
    const options: [string, string][] = [["", t("全部时间", "all time")], ...RANGES.map((r) => [r, period(r)] as [string, string])];
    if (value === "fixed") options.push(["fixed", rangeText(query)]);
    first.push(select(t("时间", "Time"), options, value, (last) => last !== "fixed" && go({ ...query, range: last ? { last } : undefined, cursor: undefined })));
  }
  const second: (HTMLElement | null)[] = [];
  if (!rows) {
    const measures = dataset.measures.map((m) => [m.name, m.label] as [string, string]);
    (query.measures ?? []).forEach((name, i) => second.push(select(i ? t("与", "and") : t("指标", "Measure"), i ? [...measures, ["", t("（去掉）", "(remove)")]] : measures, name, (next) => {
      const list = [...(query.measures ?? [])];
      if (next) list[i] = next;
      else list.splice(i, 1);
      go({ ...query, measures: list, order: undefined, having: undefined });
    })));
    if ((query.measures ?? []).length < 4) second.push(select("", [["", t("＋ 指标", "+ measure")], ...measures], "", (name) => name && go({ ...query, measures: [...(query.measures ?? []), name] })));
    const fields = dataset.fields.filter((f) => ["code", "region", "bool"].includes(f.type) && f.sensitivity !== "personal" && f.sensitivity !== "secret");
    const dims: [string, string][] = [...(dataset.time ? GRAINS.map(([g, label]) => [JSON.stringify({ time: g }), label] as [string, string]) : []), ...fields.map((f) => [f.name, t("按", "by ") + f.label] as [string, string])];
    const setDim = (i: number) => (key: string) => {
      const by = [...(query.by ?? [])];
      if (!key) by.splice(i, 1);
      else by[i] = key.startsWith("{") ? (JSON.parse(key) as Dim) : key;
      go({ ...query, by, order: undefined, cursor: undefined });
    };
    const by = query.by ?? [];
    for (let i = 0; i <= Math.min(by.length, 2); i++) second.push(select(i ? "" : t("分组", "Group"), [["", i < by.length ? t("（不分组）", "(none)") : t("＋ 分组", "+ group")], ...dims], dimKey(by[i]), setDim(i)));
    if (dataset.time && query.range) second.push(select(t("比较", "Compare"), [["", t("不比较", "none")], ["yoy", t("同比", "year before")], ["mom", t("环比", "period before")]], query.compare ?? "", (compare) => go({ ...query, compare: compare || undefined, order: undefined })));
  }
  const list = conditions(query.where);
  const chips = h("div", { class: "chips" },
    list.map((one, i) => h("span", { class: "chip" }, conditionText(dataset, one), h("button", { type: "button", "aria-label": t("去掉条件", "Remove"), onclick: () => go(withConditions(query, list.filter((_, n) => n !== i))) }, "×"))),
    dataset.time && query.range && !query.range.last ? h("span", { class: "chip" }, rangeText(query), h("button", { type: "button", "aria-label": t("去掉条件", "Remove"), onclick: () => go({ ...query, range: undefined, cursor: undefined, compare: undefined }) }, "×")) : null,
    conditionForm(dataset, query, list));
  byId("query").replaceChildren(h("div", { class: "query-row" }, first, second), chips);
}

/** Adds one condition: field, then its values or an operator and a value. */
function conditionForm(dataset: DatasetView, query: Query, list: Where[]): HTMLElement {
  const fields = dataset.fields.filter((f) => !["point", "file"].includes(f.type) && f.sensitivity !== "personal" && f.sensitivity !== "secret");
  const box = h("span", { class: "query-row" });
  const idle = () => box.replaceChildren(h("label", null, h("span", { class: "visually-hidden" }, t("添加条件", "Add a condition")), h("select", { onchange: (e: Event) => {
    const field = fields.find((f) => f.name === (e.target as HTMLSelectElement).value);
    if (field) edit(field);
  } }, h("option", { value: "" }, t("＋ 条件", "+ condition")), fields.map((f) => h("option", { value: f.name }, f.label)))));
  const edit = (field: FieldView) => {
    const add = (test: Json) => go(withConditions(query, [...list, { [field.name]: test }]));
    const cancel = h("button", { type: "button", class: "quiet", onclick: idle }, t("取消", "Cancel"));
    if (field.codes.length || field.type === "bool") {
      const values: [string, string][] = field.type === "bool" ? [["true", t("是", "yes")], ["false", t("否", "no")]] : field.codes;
      box.replaceChildren(h("label", null, field.label, h("select", { onchange: (e: Event) => {
        const v = (e.target as HTMLSelectElement).value;
        if (v) add({ eq: field.type === "bool" ? v === "true" : v });
      } }, h("option", { value: "" }, t("选择…", "choose…")), values.map(([v, text]) => h("option", { value: v }, text)))), cancel);
    } else {
      const numeric = field.type === "int" || field.type === "decimal";
      const dated = field.type === "date" || field.type === "instant";
      const ops: [string, string][] = numeric || dated ? [["gte", "≥"], ["lt", "<"], ["eq", "="]] : field.search === "zh" ? [["text", t("包含", "contains")]] : [["eq", "="], ["prefix", t("开头是", "starts with")]];
      const op = h("select", { "aria-label": t("运算", "Operator") }, ops.map(([v, text]) => h("option", { value: v }, text)));
      const input = h("input", { type: numeric ? "number" : dated ? "date" : "text", step: "any", "aria-label": field.label });
      const apply = () => {
        if (!input.value) return;
        add({ [op.value]: numeric ? Number(input.value) : input.value });
      };
      input.addEventListener("keydown", (e) => e.key === "Enter" && apply());
      box.replaceChildren(h("label", null, field.label, op, input), h("button", { type: "button", onclick: apply }, t("添加", "Add")), cancel);
      input.focus();
    }
    box.querySelector<HTMLElement>("select, input")?.focus();
  };
  idle();
  return box;
}

// ---- the answer ----

let turn = 0;

async function show(): Promise<void> {
  const mine = ++turn;
  const result = byId("result");
  const query = read();
  const dataset = query ? page.datasets[query.dataset] : undefined;
  if (!query || !dataset) {
    byId("query").replaceChildren();
    result.replaceChildren(h("p", { class: "empty" }, query ? t(`没有数据集「${query.dataset}」，或您无权查看。`, "There is no such dataset, or you may not see it.") : t("地址里的查询无法读取。", "The query in the address cannot be read.")),
      h("ul", { class: "cards" }, Object.values(page.datasets).map((d) => h("li", { class: "card" }, h("a", { href: `/explore?dataset=${d.name}` }, h("b", null, d.label))))));
    return;
  }
  head(dataset, query);
  controls(dataset, query);
  result.setAttribute("aria-busy", "true");
  const rows = Boolean(query.rows?.length);
  const asked: Query = { ...query, limit: query.limit ?? (rows ? PAGE_ROWS : 1000), cursor: query.cursor ?? null };
  try {
    const table = await api<Table>("POST", "/api/v1/query", asked);
    if (mine !== turn) return;
    for (const column of table.columns) for (const [code, name] of Object.entries(column.labels ?? {})) if (/^31\d{4}/.test(code)) regionNames.set(code, name);
    controls(dataset, query);
    render(dataset, query, table);
  } catch (error) {
    if (mine !== turn) return;
    const denied = error instanceof ApiError && error.status === 403;
    result.replaceChildren(h("p", { class: denied ? "empty" : "error", role: "alert" }, message(error)));
  } finally {
    if (mine === turn) result.setAttribute("aria-busy", "false");
  }
}

function head(dataset: DatasetView, query: Query): void {
  const measures = (query.measures ?? []).map((name) => dataset.measures.find((m) => m.name === name)?.label ?? name);
  byId("title").textContent = query.rows?.length ? t(`${dataset.label} 明细`, `${dataset.label}: rows`) : `${dataset.label} · ${measures.join("、")}`;
  byId("subtitle").textContent = dataset.time ? rangeText(query) : "";
  document.title = `${byId("title").textContent} · ${t("纵览", "Zonglan")}`;
  const back = document.referrer && new URL(document.referrer).origin === location.origin && new URL(document.referrer).pathname.startsWith("/boards/") ? document.referrer : "/boards/home";
  byId("crumbs").replaceChildren(h("a", { href: back }, t("驾驶舱", "Board")), h("a", { href: `/explore?dataset=${dataset.name}` }, dataset.label), h("span", { "aria-current": "page" }, query.rows?.length ? t("明细", "Rows") : measures.join("、")));
  const save = (format: string) => h("button", { type: "button", onclick: (e: Event) => void exportAs(query, format, e.currentTarget as HTMLButtonElement) }, t("导出 ", "Export ") + format.toUpperCase());
  const only = query.measures?.length === 1 ? `#measure-${query.measures[0] ?? ""}` : "";
  byId("actions").replaceChildren(
    h("button", { type: "button", onclick: () => history.back() }, t("← 返回", "← Back")),
    ...(page.mayExport ? [save("csv"), save("xlsx")] : []),
    h("a", { class: "button", href: `/datasets/${dataset.name}${only}` }, t("口径", "Definition")));
}

async function exportAs(query: Query, format: string, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  const { limit: _limit, cursor: _cursor, ...all } = query;
  try {
    const response = await send("POST", "/api/v1/exports", { query: all, format });
    await download(response, `${query.dataset}.${format}`);
  } catch (error) {
    byId("result").prepend(h("p", { class: "error", role: "alert" }, message(error)));
  } finally {
    button.disabled = false;
  }
}

function render(dataset: DatasetView, query: Query, table: Table): void {
  const rows = Boolean(query.rows?.length);
  const result = byId("result");
  if (!table.rows.length) {
    result.replaceChildren(h("p", { class: "empty" }, t("没有符合条件的数据。", "Nothing meets these conditions.")));
    return;
  }
  const key = dataset.key.length === 1 ? table.columns.findIndex((c) => c.name === dataset.key[0]) : -1;
  const base = page.rowPages[dataset.name];
  const words = textWords(query.where);
  const view = renderTable(table, {
    dataset, query,
    sort: (name) => {
      const now = query.order?.[0];
      go({ ...query, order: [now === `-${name}` ? name : `-${name}`], cursor: undefined }, true);
    },
    href: (row) => {
      if (!rows || key < 0 || !base) return null;
      const tail = base === "/cases/" ? `?dataset=${dataset.name}${words ? `&q=${encodeURIComponent(words)}` : ""}` : "";
      return base + encodeURIComponent(String(row[key])) + tail;
    },
    drill: (cell, anchor) => void drill(query, cell, anchor),
  });
  const shown = before.length * (query.limit ?? PAGE_ROWS);
  const total = table.meta.total;
  const count = rows
    ? `${decimal(shown + 1)}–${decimal(shown + table.rows.length)} / ${total === undefined ? "…" : decimal(total)} ${t("条", "rows")}`
    : `${decimal(table.rows.length)} ${t("组", "groups")}`;
  const pager = rows && (table.meta.cursor || before.length) ? h("nav", { class: "pager", "aria-label": t("翻页", "Pages") },
    h("button", { type: "button", disabled: !before.length, onclick: () => turnTo(query, before.pop() ?? null) }, t("上一页", "Previous")),
    h("button", { type: "button", disabled: !table.meta.cursor, onclick: () => {
      before.push(query.cursor ?? null);
      turnTo(query, table.meta.cursor ?? null);
    } }, t("下一页", "Next"))) : null;
  const time = table.meta.watermark ? `${t("数据截至 ", "data to ")}${new Date(table.meta.watermark + 8 * 3_600_000).toISOString().slice(0, 16).replace("T", " ")}` : "";
  const hidden = table.meta.suppressed ? t(`，${table.meta.suppressed} 个小数值不显示`, `, ${table.meta.suppressed} small figures hidden`) : "";
  result.replaceChildren(view, h("div", { class: "result-foot" }, h("span", { class: "num" }, [count, time].filter(Boolean).join(" · ") + hidden), pager));
}

/** Pages keep the list of those before; the address holds the page itself. */
function turnTo(query: Query, cursor: string | null): void {
  const next = { ...query, cursor: cursor ?? undefined };
  history.replaceState(null, "", `/explore?q=${encodeURIComponent(JSON.stringify(next))}`);
  void show();
  window.scrollTo({ top: 0 });
}

function textWords(where: Where | undefined): string {
  return conditions(where).flatMap((one) => Object.values(one).map((test) => (test && typeof test === "object" && "text" in test ? String(test.text) : ""))).filter(Boolean).join(" ");
}

// ---- from a figure on ----

async function drill(query: Query, cell: Cell, anchor: HTMLElement): Promise<void> {
  document.querySelector(".menu")?.remove();
  const menu = h("div", { class: "menu", role: "menu" }, h("span", { class: "hint" }, "…"));
  const at = anchor.getBoundingClientRect();
  menu.style.left = `${Math.min(at.left + window.scrollX, window.scrollX + document.documentElement.clientWidth - 200)}px`;
  menu.style.top = `${at.bottom + window.scrollY + 4}px`;
  document.body.append(menu);
  const close = (event: Event) => {
    if (event instanceof KeyboardEvent ? event.key !== "Escape" : menu.contains(event.target as Node) || event.target === anchor) return;
    menu.remove();
    document.removeEventListener("click", close);
    document.removeEventListener("keydown", close);
    if (event instanceof KeyboardEvent) anchor.focus();
  };
  document.addEventListener("click", close);
  document.addEventListener("keydown", close);
  try {
    const dims = new Set((query.by ?? []).map(dimColumn));
    const wanted = Object.fromEntries(Object.entries(cell).filter(([name]) => dims.has(name)));
    const { drills } = await api<{ drills: Drill[] }>("POST", "/api/v1/query/drills", { query, cell: wanted });
    const ordered = [...drills.filter((d) => d.kind === "rows"), ...drills.filter((d) => d.kind !== "rows")];
    menu.replaceChildren(...ordered.map((d) => h("a", { href: d.href, role: "menuitem" }, d.label)));
    menu.querySelector<HTMLElement>("a")?.focus();
  } catch (error) {
    menu.replaceChildren(h("p", { class: "error" }, message(error)));
  }
}

window.addEventListener("popstate", () => {
  before = [];
  void show();
});
void show();
