// The query of the explore page: its place in the address, its conditions, its words.

import { minute, period } from "../lib/format";
import { t } from "../lib/dom";
import { dimColumn } from "../lib/table";
import type { DatasetView, Dim, Json, Query } from "../lib/types";

export const PAGE_ROWS = 50;
export type Where = { [key: string]: Json };

/** One step on the way down: what it was called, and its query. */
export interface Step {
  label: string;
  query: Query;
}

/** What the address holds. */
export interface State {
  query: Query;
  /** The steps before this one, first first. */
  trail: Step[];
  /** What this step is called, where it was drilled to. */
  label: string;
  chart: string | null;
  measure: string | null;
}

/** Steps that an address holds; those in the middle go first. */
const MOST_STEPS = 6;

export function readState(datasets: Record<string, DatasetView>): State | null {
  const params = new URLSearchParams(location.search);
  const parse = <T>(name: string, other: T): T => {
    const text = params.get(name);
    return text ? (JSON.parse(text) as T) : other;
  };
  try {
    const name = params.get("dataset") ?? (datasets.incident ? "incident" : Object.keys(datasets)[0]);
    const dataset = name ? datasets[name] : undefined;
    const query = parse<Query | null>("q", dataset ? start(dataset) : name ? { dataset: name } : null);
    return query && { query, trail: parse<Step[]>("trail", []), label: params.get("label") ?? "", chart: params.get("chart"), measure: params.get("axis") };
  } catch {
    return null;
  }
}

export function address(state: State): string {
  const params = new URLSearchParams({ q: JSON.stringify(state.query) });
  if (state.trail.length) params.set("trail", JSON.stringify(state.trail.slice(-MOST_STEPS)));
  if (state.label) params.set("label", state.label);
  if (state.chart) params.set("chart", state.chart);
  if (state.measure) params.set("axis", state.measure);
  return `/explore?${params.toString()}`;
}

/** The first question of a dataset: its first measure by month or by its first code. */
export function start(dataset: DatasetView): Query {
  const measure = dataset.measures[0];
  if (!measure) return rowsQuery(dataset, { dataset: dataset.name });
  const code = dataset.fields.find((f) => f.type === "code" && f.sensitivity !== "personal" && f.sensitivity !== "secret");
  const query: Query = { dataset: dataset.name, measures: [measure.name], by: dataset.time ? [{ time: "month" }] : code ? [code.name] : [] };
  if (dataset.time) query.range = { last: "12m" };
  return query;
}

export function rowsQuery(dataset: DatasetView, from: Query): Query {
  const query: Query = { dataset: dataset.name, rows: dataset.list, limit: PAGE_ROWS };
  if (from.where && Object.keys(from.where).length) query.where = from.where;
  if (from.range) query.range = from.range;
  if (dataset.time) query.order = [`-${dataset.time}`];
  return query;
}

/** A changed query without what no longer fits: order, pivot and own figures of what is gone. */
export function tidy(query: Query): Query {
  const next: Query = { ...query };
  delete next.cursor;
  const columns = (next.by ?? []).map(dimColumn);
  if (next.pivot && (!columns.includes(next.pivot) || columns.length < 2)) delete next.pivot;
  const known = [...(next.measures ?? [])];
  next.calc = (next.calc ?? []).filter((calc) => {
    const fits = (calc.expr.match(/[a-z_][a-z0-9_.]*/gi) ?? []).every((name) => known.includes(name));
    if (fits) known.push(calc.name);
    return fits;
  });
  if (!next.calc.length) delete next.calc;
  const all = [...columns, ...known];
  const order = (next.order ?? []).filter((name) => {
    const plain = name.replace(/^-/, "").replace(/_(prev|delta|pct)$/, next.compare ? "" : "$&");
    return all.includes(plain) || (next.pivot && plain.includes("@"));
  });
  if (order.length && !next.rows?.length) next.order = order;
  else if (!next.rows?.length) delete next.order;
  for (const name of ["range", "compare", "where", "pivot"] as const) if (next[name] === undefined) delete next[name];
  return next;
}

// ---- conditions ----

/** The conditions that all must hold; anything more complex is one chip. */
export function conditions(where: Where | undefined): Where[] {
  if (!where || !Object.keys(where).length) return [];
  const and = where.and;
  const list = Array.isArray(and) && Object.keys(where).length === 1 ? (and as Where[]) : Object.entries(where).map(([k, v]) => ({ [k]: v }));
  return list.flatMap((one) => (Object.keys(one).length > 1 ? Object.entries(one).map(([k, v]) => ({ [k]: v })) : [one]));
}

export function withConditions(query: Query, list: Where[]): Query {
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

/** Names of regions as answers brought them. */
export const regionNames = new Map<string, string>();

export function conditionText(dataset: DatasetView, one: Where): string {
  const [name, test] = Object.entries(one)[0] ?? ["", null];
  if (name === "not") return `${t("非", "not")} (${conditionText(dataset, test as Where)})`;
  if (name === "and" || name === "or") return (test as Where[]).map((c) => conditionText(dataset, c)).join(name === "and" ? t(" 且 ", " and ") : t(" 或 ", " or "));
  const field = dataset.fields.find((f) => f.name === name);
  const say = (v: Json): string => (Array.isArray(v) ? v.map(say).join("、") : typeof v === "boolean" ? (v ? t("是", "yes") : t("否", "no")) : (field?.codes.find(([c]) => c === v)?.[1] ?? regionNames.get(String(v)) ?? String(v)));
  return Object.entries(test as Where).map(([op, v]) => (op === "is_null" ? `${field?.label ?? name} ${v ? t("为空", "is missing") : t("有值", "is given")}` : `${field?.label ?? name} ${OPERATORS[op] ?? op} ${say(v)}`)).join(" ");
}

export function rangeText(query: Query): string {
  const range = query.range;
  if (!range || !Object.keys(range).length) return t("全部时间", "all time");
  if (range.last) return period(range.last);
  const names: Record<string, string> = { day: t("今日", "today"), week: t("本周", "this week"), month: t("本月", "this month"), quarter: t("本季", "this quarter"), year: t("本年", "this year") };
  const past: Record<string, string> = { day: t("昨日", "yesterday"), week: t("上周", "last week"), month: t("上月", "last month"), quarter: t("上季", "last quarter"), year: t("上年", "last year") };
  if (range.this) return names[range.this] ?? range.this;
  if (range.previous) return past[range.previous] ?? range.previous;
  return `${range.from ? minute(range.from) : "…"} – ${range.to ? minute(range.to) : "…"}`;
}

export const GRAINS: [string, string][] = [["year", t("年", "Year")], ["quarter", t("季", "Quarter")], ["month", t("月", "Month")], ["week", t("周", "Week")], ["day", t("日", "Day")], ["hour", t("小时", "Hour")], ["hour_of_day", t("时段", "Hour of day")], ["weekday", t("星期", "Weekday")]];

export function dimKey(dim: Dim): string {
  return typeof dim === "string" ? dim : JSON.stringify(dim);
}

export function dimLabel(dataset: DatasetView, dim: Dim): string {
  const label = (name: string) => dataset.fields.find((f) => f.name === name)?.label ?? name;
  if (typeof dim === "string") return label(dim);
  if ("time" in dim) {
    const grain = GRAINS.find(([g]) => g === dim.time)?.[1] ?? dim.time;
    return dim.field && dim.field !== dataset.time ? `${label(dim.field)} · ${grain}` : grain;
  }
  const levels: Record<string, string> = { city: t("市", "City"), district: t("区", "District"), street: t("街镇", "Street"), neighbourhood: t("居村", "Neighbourhood"), grid: t("网格", "Grid") };
  return levels[dim.level] ?? dim.level;
}

export function measureLabel(dataset: DatasetView, datasets: Record<string, DatasetView>, query: Query, name: string): string {
  const [owner, short] = name.includes(".") ? (name.split(".") as [string, string]) : [dataset.name, name];
  const own = query.calc?.find((c) => c.name === name);
  return own ? own.label || own.name : (datasets[owner]?.measures.find((m) => m.name === short)?.label ?? name);
}

/** What a query shows, in a few words: the crumb of a step that has no name. */
export function describe(dataset: DatasetView, datasets: Record<string, DatasetView>, query: Query): string {
  if (query.rows?.length) return t("明细", "Rows");
  const measures = (query.measures ?? []).slice(0, 2).map((m) => measureLabel(dataset, datasets, query, m)).join("、");
  const by = (query.by ?? []).map((d) => dimLabel(dataset, d)).join(" × ");
  return by ? t(`${measures} · 按${by}`, `${measures} by ${by}`) : measures;
}

export function textWords(where: Where | undefined): string {
  return conditions(where).flatMap((one) => Object.values(one).map((test) => (test && typeof test === "object" && "text" in test ? String(test.text) : ""))).filter(Boolean).join(" ");
}
