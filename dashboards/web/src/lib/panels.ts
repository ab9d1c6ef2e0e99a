// Panels that are elements rather than charts: figures, rankings, feeds, weather, duty, tables.

import { h, svg, t } from "./dom";
import type { Option } from "./chart";
import type { Cell, Json, Query } from "./types";

export interface Comparison {
  label: string;
  text: string;
  change: number | null;
  tone: "good" | "bad" | "neutral";
}

export interface Rows {
  columns: { name: string; label: string; numeric: boolean }[];
  rows: string[][];
  hrefs?: string[];
}

/** A line of the board's frame; see the server's `Panel`. */
export interface Panel {
  panel: string;
  kind: string;
  title: string;
  unit?: string;
  option?: Option;
  number?: { value: number | null; text: string; scale: string; unit: string; comparisons: Comparison[]; spark: (number | null)[] };
  ranking?: { rank: number; label: string; text: string; share: number; change?: Comparison; cell?: Cell; selected?: boolean }[];
  rows?: Rows;
  facts?: { name: string; label: string; value: Json; text: string }[];
  text?: string;
  table?: Rows;
  query?: Query;
  click?: string;
  href?: string;
  meta: { stale: boolean; data_time?: string; note?: string; suppressed?: number; error?: string };
}

/** The sign, the figure and its meaning: an arrow for up or down, a colour for good or bad. */
function change(c: Comparison): HTMLElement {
  const arrow = c.change === null || Math.abs(c.change) < 0.05 ? "" : c.change > 0 ? "▲" : "▼";
  const meaning = c.tone === "good" ? t("向好", "better") : c.tone === "bad" ? t("变差", "worse") : "";
  return h("span", { class: `num ${c.tone === "neutral" ? "flat" : c.tone}` }, h("span", { class: "mark", "aria-hidden": "true" }, arrow), arrow ? c.text.replace(/^[+\u2212]/, "") : c.text, meaning && h("span", { class: "visually-hidden" }, meaning));
}

export function number(panel: Panel): HTMLElement[] {
  const n = panel.number;
  if (!n) return [];
  const figure = h("a", { class: "figure", href: panel.href }, h("b", { class: "num" }, n.text), h("span", null, n.scale + n.unit));
  const changes = h("dl", { class: "changes" }, n.comparisons.map((c) => [h("dt", null, c.label), h("dd", null, change(c))]).flat());
  const line = spark(n.spark);
  return n.comparisons.length || line ? [figure, h("div", { class: "figure-foot" }, changes, line)] : [figure];
}

/** A line without axes; its last point is marked. */
function spark(values: (number | null)[]): Node | null {
  const known = values.filter((v): v is number => v !== null);
  if (known.length < 3) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const y = (v: number) => (high > low ? 30 - ((v - low) / (high - low)) * 26 : 16);
  const x = (i: number) => (i / (values.length - 1)) * 100;
  const points = values.map((v, i) => (v === null ? null : ([x(i), y(v)] as const))).filter((p): p is readonly [number, number] => p !== null);
  const line = points.map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return null;
  return svg("svg", { class: "spark", viewBox: "0 0 100 32", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "area", d: `${line}L${last[0].toFixed(1)} 32L${first[0].toFixed(1)} 32Z` }),
    svg("path", { d: line }));
}

/** Width of a text in characters of the Chinese kind; a Latin letter is half as wide. */
const width = (text: string): number => [...text].reduce((sum, c) => sum + (c < "\u2e80" ? 0.55 : 1), 0);

/** `room`: the width of the box in rem. */
export function ranking(panel: Panel, room: number, pick: (cell: Cell, label: string) => void): HTMLElement {
  // A narrow box has no room for bars: name, figure and change say it.
  const narrow = room < 19;
  const short = (c: Comparison): Comparison => (narrow ? { ...c, text: c.text.replace(" 个百分点", " 点") } : c);
  const rows = (panel.ranking ?? []).map((row) => {
    const bar = h("i", null);
    bar.style.width = `${Math.max(0.5, row.share * 100)}%`;
    const open = () => row.cell && pick(row.cell, row.label);
    return h("li", {
      tabindex: 0, role: "button", "aria-current": row.selected ? "true" : undefined, onclick: open,
      onkeydown: (e: KeyboardEvent) => {
        if (e.key !== "Enter" && e.key !== " ") return;
        e.preventDefault();
        open();
      },
    },
    h("span", { class: "place num" }, row.rank), h("span", { class: "name", title: row.label }, row.label), h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "value num" }, row.text), h("span", { class: "change", title: row.change?.text }, row.change ? change(short(row.change)) : null));
  });
  const points = panel.ranking?.some((row) => (row.change?.text.length ?? 0) > 8);
  const long = panel.ranking?.some((row) => width(row.label) > 5);
  return h("ol", { class: `ranking${narrow ? " narrow" : `${points ? " wide" : ""}${long ? " long" : ""}`}` }, rows);
}

/** Words, the larger the more; order and size say the same. */
export function cloud(panel: Panel, pick: (cell: Cell, label: string) => void): HTMLElement {
  return h("ul", { class: "cloud" }, (panel.ranking ?? []).map((row) => {
    const button = h("button", { type: "button", class: "word", title: `${row.label} ${row.text}`, onclick: () => row.cell && pick(row.cell, row.label) }, row.label, h("span", { class: "num" }, row.text));
    button.style.fontSize = `${(0.95 + Math.sqrt(row.share) * 1.65).toFixed(3)}rem`;
    return h("li", null, button);
  }));
}

/** Half a dial from 0 to 100 per cent with the figure below. */
export function gauge(panel: Panel): HTMLElement[] {
  const n = panel.number;
  if (!n) return [];
  const arc = (part: number) => {
    const angle = Math.PI * (1 - Math.min(1, Math.max(0, part)));
    return `M10 60 A50 50 0 0 1 ${(60 + 50 * Math.cos(angle)).toFixed(2)} ${(60 - 50 * Math.sin(angle)).toFixed(2)}`;
  };
  const dial = svg("svg", { class: "dial", viewBox: "0 0 120 66", "aria-hidden": "true" }, svg("path", { class: "track", d: arc(1) }), ...(n.value === null ? [] : [svg("path", { class: "value", d: arc(n.value / 100) })]));
  const figure = h("a", { class: "figure", href: panel.href }, h("b", { class: "num" }, n.text), h("span", null, n.scale + n.unit));
  const changes = h("dl", { class: "changes" }, n.comparisons.map((c) => [h("dt", null, c.label), h("dd", null, change(c))]).flat());
  return [h("div", { class: "gauge" }, dial, figure), changes];
}

/** The newest rows. Columns are as wide as their texts; what reads longest takes the rest. */
export function feed(panel: Panel): HTMLElement {
  const { columns, rows, hrefs } = panel.rows ?? { columns: [], rows: [] };
  const roles = columns.map(({ name }, i) => {
    if (rows.some((row) => /^\d{4}-\d\d-\d\d/.test(row[i] ?? ""))) return "time";
    if (name === "district" || name === "status") return name;
    return name === "category" || name === "kind" || name === "type" ? "kind" : "where";
  });
  const widest = columns.map((_, i) => Math.max(2, ...rows.map((row) => width(row[i] ?? ""))));
  const long = Math.max(...widest.filter((_, i) => roles[i] !== "time"));
  const track = (i: number) => (roles[i] === "time" ? "3rem" : (widest[i] ?? 0) === long || (widest[i] ?? 0) > 12 ? "minmax(0,1fr)" : `minmax(0,${((widest[i] ?? 0) * 0.96 + 0.3).toFixed(1)}rem)`);
  const list = h("ul", { class: "feed" }, rows.map((row, i) =>
    h("li", null, h("a", { href: hrefs?.[i] }, columns.map((_, n) => {
      const text = row[n] ?? "";
      // The date is the board's; the feed tells the hour, older rows the day.
      if (roles[n] === "time") return h("time", { class: "num", title: text }, (sameDay(text, rows[0]?.[n]) && text.slice(11)) || text.slice(5, 10));
      return h("span", { class: `${roles[n]}${widest[n] === long ? " main" : ""}`, title: text }, text);
    })))));
  list.style.setProperty("--cols", columns.map((_, i) => track(i)).join(" "));
  list.style.setProperty("--cols-narrow", columns.map((_, i) => i).filter((i) => widest[i] === long || (roles[i] !== "district" && roles[i] !== "status")).map(track).join(" "));
  return list;
}

function sameDay(a: string, b: string | undefined): boolean {
  return a.slice(0, 10) === (b ?? "").slice(0, 10);
}

export function table(rows: Rows): HTMLElement {
  const head = rows.columns.map((c) => h("th", { scope: "col", class: c.numeric ? "num" : undefined }, c.label));
  const body = rows.rows.map((row, i) => h("tr", null, row.map((text, n) => {
    const href = n === 0 ? rows.hrefs?.[i] : undefined;
    return h("td", { class: rows.columns[n]?.numeric ? "num" : undefined }, href ? h("a", { href }, text) : text);
  })));
  return h("div", { class: "panel-table", tabindex: 0 }, h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, body)));
}

const SUN = "M24 14a10 10 0 1 0 .01 0M24 4v4M24 40v4M4 24h4M40 24h4M9.9 9.9l2.8 2.8M35.3 35.3l2.8 2.8M9.9 38.1l2.8-2.8M35.3 12.7l2.8-2.8";
const CLOUD = "M14 34a8 8 0 0 1 0-16 11 11 0 0 1 21-2 9 9 0 0 1 0 18z";
const SHAPES: Record<string, string[]> = {
  sunny: [SUN],
  cloudy: ["M17 9a7 7 0 0 1 10 3M15 5v-1M8 9l-1-1M5 16H4", CLOUD],
  overcast: [CLOUD],
  light_rain: [CLOUD, "M20 38v4M29 38v4"],
  moderate_rain: [CLOUD, "M17 38v5M24 38v5M31 38v5"],
  heavy_rain: [CLOUD, "M15 37l-2 7M22 37l-2 7M29 37l-2 7M36 37l-2 7"],
  rainstorm: [CLOUD, "M14 37l-2 7M34 37l-2 7M26 34l-5 6h6l-4 6"],
  snow: [CLOUD, "M17 40h.1M24 43h.1M31 40h.1M20 45h.1M28 46h.1"],
  fog: ["M8 18h32M12 25h28M8 32h28M14 39h24"],
};

export function weather(panel: Panel): HTMLElement {
  const fact = (name: string) => panel.facts?.find((f) => f.name === name);
  const kind = fact("kind");
  const range = [fact("temp_min"), fact("temp_max")].map((f) => (f ? String(Math.round(Number(f.value))) : "")).join(" ~ ");
  const parts = [
    fact("wind") && `${t("风", "wind ")}${String(fact("wind")?.value ?? "")}${t("级", "")}`,
    fact("aqi") && `AQI ${String(fact("aqi")?.value ?? "")}`,
    Number(fact("rain")?.value ?? 0) > 0 && `${t("雨", "rain ")} ${fact("rain")?.text ?? ""}`,
  ].filter(Boolean);
  const warning = fact("warning")?.text;
  const icon = svg("svg", { viewBox: "0 0 48 48", "aria-hidden": "true" }, ...(SHAPES[String(kind?.value)] ?? [CLOUD]).map((d) => svg("path", { d })));
  return h("a", { class: "weather", href: panel.href }, icon,
    h("div", null, h("b", { class: "num" }, `${kind?.text ?? ""} ${range}℃`), h("p", { class: "num" }, parts.join(" · "), warning ? h("span", { class: "warn" }, ` ${warning}`) : null)));
}

export function duty(panel: Panel): HTMLElement {
  const { columns, rows } = panel.rows ?? { columns: [], rows: [] };
  const at = (row: string[], name: string) => row[columns.findIndex((c) => c.name === name)] ?? "";
  return h("ul", { class: "duty" }, rows.map((row) =>
    h("li", null, h("span", { class: "role" }, `${at(row, "shift")} ${at(row, "post")}`), h("b", null, at(row, "name")), h("span", { class: "num" }, at(row, "phone")), h("span", null))));
}
