// An answer as a table: names for codes, figures to the right, links to what is behind.

import { h, t } from "./dom";
import { decimal, minute } from "./format";
import type { Cell, Column, DatasetView, Dim, Json, Query, Table } from "./types";

export const NUMERIC = new Set(["int", "decimal", "float"]);

export function dimColumn(dim: Dim): string {
  if (typeof dim === "string") return dim;
  if ("time" in dim) return dim.field ? `${dim.field}_${dim.time}` : dim.time;
  return dim.level;
}

const WEEKDAYS = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];

/** The value of a cell as text. */
export function cellText(column: Column, value: Json): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string" && column.labels?.[value]) return column.labels[value] ?? value;
  if (column.name === "weekday" && typeof value === "number") return t(WEEKDAYS[value - 1] ?? String(value), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][value - 1] ?? "");
  if (column.name === "hour_of_day" && typeof value === "number") return `${String(value).padStart(2, "0")}:00`;
  if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
  if (Array.isArray(value)) return value.map((v) => (typeof v === "number" ? v.toFixed(5) : String(v))).join(", ");
  if (column.type === "instant") return minute(String(value));
  if (column.type === "period") return column.name === "month" || column.name.endsWith("_month") ? String(value).slice(0, 7) : minute(String(value));
  if (typeof value === "number") return number(value);
  return String(value);
}

/** As many decimals as the number came with. */
function number(value: number): string {
  const digits = /\.(\d+)$/.exec(String(value))?.[1]?.length ?? 0;
  return decimal(value, Math.min(digits, 4));
}

export function columnLabel(column: Column, dataset?: DatasetView): string {
  const base = (name: string) => dataset?.measures.find((m) => m.name === name)?.label ?? dataset?.fields.find((f) => f.name === name)?.label;
  for (const [suffix, name] of [["_prev", t("对比期", "before")], ["_delta", t("增减", "difference")], ["_pct", t("增减率", "change")]] as const) {
    if (column.pivot === undefined && column.name.endsWith(suffix)) return `${base(column.name.slice(0, -suffix.length)) ?? (column.label || column.name)} · ${name}`;
  }
  if (column.pivot !== undefined) {
    // `count@310104`: the value of the pivoted dimension, and the figure where there are several.
    return column.label || column.name;
  }
  const times: Record<string, string> = {
    hour: t("小时", "Hour"), day: t("日", "Day"), week: t("周", "Week"), month: t("月", "Month"), quarter: t("季", "Quarter"), year: t("年", "Year"),
    hour_of_day: t("时段", "Hour of day"), weekday: t("星期", "Weekday"),
  };
  return column.label || base(column.name) || times[column.name] || column.name;
}

export interface TableOptions {
  dataset?: DatasetView;
  query: Query;
  /** Called with the column to sort by; without it the heads are plain. */
  sort?: (column: string) => void;
  /** Where a row leads (rows queries). */
  href?: (row: Json[]) => string | null;
  /** A figure was chosen: the cell's dimensions. */
  drill?: (cell: Cell, anchor: HTMLElement) => void;
}

export function renderTable(table: Table, options: TableOptions): HTMLElement {
  const { query, dataset } = options;
  const dims = (query.by ?? []).map(dimColumn);
  const order = query.order?.[0] ?? "";
  const heads = table.columns.map((column) => {
    const label = columnLabel(column, dataset);
    const unit = column.pivot !== undefined ? "" : column.unit || dataset?.measures.find((m) => m.name === column.name)?.unit || "";
    const text = unit && !column.name.endsWith("_pct") ? `${label} (${unit})` : column.name.endsWith("_pct") ? `${label} (%)` : label;
    const sorted = order.replace(/^-/, "") === column.name ? (order.startsWith("-") ? "descending" : "ascending") : undefined;
    const content = options.sort
      ? h("button", { type: "button", onclick: () => options.sort?.(column.name) }, text, h("span", { "aria-hidden": "true" }, sorted === "descending" ? "▼" : sorted ? "▲" : ""))
      : text;
    return h("th", { scope: "col", class: NUMERIC.has(column.type) && !dims.includes(column.name) ? "num" : undefined, "aria-sort": sorted }, content);
  });
  const figure = (column: Column) => (column.pivot === undefined ? column.name : (column.name.split("@")[0] ?? ""));
  const tops = table.columns.map((column, i) =>
    column.pivot === undefined && query.measures?.includes(column.name) && table.rows.length > 1 ? Math.max(0, ...table.rows.map((r) => (typeof r[i] === "number" ? (r[i] as number) : 0))) : 0,
  );
  const body = table.rows.map((row) => {
    const cell: Cell = {};
    table.columns.forEach((column, i) => {
      if (dims.includes(column.name)) cell[column.name] = row[i] ?? null;
    });
    const href = options.href?.(row) ?? null;
    const cells = table.columns.map((column, i) => {
      const value = row[i] ?? null;
      const text = cellText(column, value);
      const dimension = dims.includes(column.name);
      const numeric = NUMERIC.has(column.type) && !dimension;
      let content: Node | string = text;
      if (query.measures?.includes(figure(column)) && value !== null && options.drill) {
        const whole: Cell = column.pivot === undefined || !query.pivot ? cell : { ...cell, [query.pivot]: column.pivot };
        const button = h("button", { type: "button", class: "link num", onclick: (e: Event) => options.drill?.(whole, e.currentTarget as HTMLElement) }, text);
        const top = tops[i] ?? 0;
        if (top > 0 && typeof value === "number") {
          const bar = h("span", { class: "cellbar", "aria-hidden": "true" });
          bar.style.width = `${(Math.max(0, value) / top) * 5}rem`;
          content = h("span", null, bar, button);
        } else content = button;
      } else if (href && i === 0) content = h("a", { href }, text || "–");
      else if (column.name.endsWith("_pct") && typeof value === "number") content = h("span", { class: "num" }, `${value > 0 ? "+" : ""}${decimal(value, 1)}`);
      else if (text.length > 40) content = h("span", { title: text.length > 400 ? undefined : text }, text.length > 400 ? `${text.slice(0, 400)}…` : text);
      return h("td", { class: numeric ? "num" : text.length > 40 ? "long" : text.length <= 24 ? "nowrap" : undefined }, content);
    });
    return h("tr", null, cells);
  });
  const narrow = Boolean(query.measures?.length) && table.columns.length <= 4;
  return h("div", { class: narrow ? "scroll narrow" : "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, heads)), h("tbody", null, body)));
}
