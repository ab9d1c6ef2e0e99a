// An index explained: the score of a region and period, what it is made of, what would raise it
// most, how firm its rank is, and the way to the rows behind each indicator.

import { api, byId, h, message, pageData, svg, t } from "./lib/dom";
import { decimal } from "./lib/format";
import type { Json, Query, Table } from "./lib/types";

interface Indicator {
  id: string;
  label: string;
  dimension: string;
  bounds: string;
  street_bounds: string;
  dataset: string;
  measure: string;
  where: Json;
  definition: string;
  rows: string[];
}

interface View {
  name: string;
  label: string;
  version: string;
  basis: string[];
  note: string;
  form: string;
  aggregation: string;
  t_min: number;
  bands: [number, number, number, number];
  dimensions: [string, string, number][];
  indicators: Indicator[];
  dataset: string;
  regions: [string, string][];
}

type Row = Record<string, Json>;

const view = pageData<View>();
const GRADES: Record<string, [string, string]> = { normal: ["正常", "normal"], blue: ["蓝", "blue"], yellow: ["黄", "yellow"], orange: ["橙", "orange"], red: ["红", "red"] };
const PERIODS: [string, string, string][] = [["week", "周", "Week"], ["month", "月", "Month"], ["quarter", "季", "Quarter"]];
const FIELDS = ["region", "period", "start", "part", "dimension", "indicator", "value", "unit", "satisfactory", "inadmissible", "position", "score", "weight", "contribution", "gain", "previous", "grade", "reason", "missing", "coverage", "rank", "rank_best", "rank_worst", "version", "latest"];

const nameOf = (code: string) => view.regions.find(([c]) => c === code)?.[1] ?? code;
const num = (row: Row | undefined, field: string): number | null => (row && typeof row[field] === "number" ? (row[field] as number) : null);
const text = (row: Row | undefined, field: string): string => (row && row[field] !== null && row[field] !== undefined ? String(row[field]) : "");
const level = (code: string) => (code === "310000" ? "city" : code.length > 6 ? "street" : "district");

async function rows(where: Json[], order: string[], limit: number): Promise<Row[]> {
  const query: Query = { dataset: view.dataset, rows: FIELDS, where: { and: where } as Query["where"], order, limit };
  const table = await api<Table>("POST", "/api/v1/query", query);
  return table.rows.map((cells) => Object.fromEntries(table.columns.map((c, i) => [c.name, cells[i] ?? null])));
}

function address(change: Record<string, string>): string {
  const params = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) params.set(key, value);
  return `${location.pathname}?${params}`;
}

function go(change: Record<string, string>): void {
  history.pushState(null, "", address(change));
  void show();
}

function grade(code: string): HTMLElement {
  const name = GRADES[code];
  return h("span", { class: `grade ${code || "none"}` }, name ? t(name[0], name[1]) : t("不着色", "no colour"));
}

/** First day after the period. */
function end(start: string, period: string): string {
  const d = new Date(`${start}T00:00:00Z`);
  if (period === "week") d.setUTCDate(d.getUTCDate() + 7);
  else d.setUTCMonth(d.getUTCMonth() + (period === "quarter" ? 3 : 1));
  return d.toISOString().slice(0, 10);
}

function periodName(start: string, period: string): string {
  if (period === "month") return start.slice(0, 7);
  if (period === "quarter") return `${start.slice(0, 4)} ${t("第", "Q")}${Math.floor((Number(start.slice(5, 7)) - 1) / 3) + 1}${t("季度", "")}`;
  return t(`${start} 起一周`, `week of ${start}`);
}

/** The rows that an indicator counts, in this region and period. */
function behind(indicator: Indicator, region: string, period: string, start: string): string {
  const conditions: Json[] = [];
  if (indicator.where && Object.keys(indicator.where as object).length) conditions.push(indicator.where);
  if (region !== "310000") conditions.push({ [region.length > 6 ? "street" : "district"]: { eq: region } });
  const query: Record<string, Json> = { dataset: indicator.dataset, rows: indicator.rows, range: { from: start, to: end(start, period) } };
  if (conditions.length) query.where = { and: conditions };
  return `/explore?q=${encodeURIComponent(JSON.stringify(query))}`;
}

function bar(position: number | null): HTMLElement {
  const part = position === null ? 0 : Math.max(0, Math.min(1, (position - view.t_min) / (1 - view.t_min)));
  const mark = (0 - view.t_min) / (1 - view.t_min);
  const width = 160;
  const box = h("span", { class: "position" });
  box.append(svg("svg", { viewBox: `0 0 ${width} 12`, width, height: 12, role: "img", "aria-label": position === null ? t("缺失", "missing") : position.toFixed(2) },
    svg("rect", { x: 0, y: 4, width, height: 4, rx: 2, class: "track" }),
    svg("rect", { x: 0, y: 4, width: Math.round(part * width), height: 4, rx: 2, class: position !== null && position < 0 ? "fill low" : "fill" }),
    svg("line", { x1: mark * width, x2: mark * width, y1: 0, y2: 12, class: "mark" })));
  return box;
}

/** Scores of a region over time, with the bands behind. */
function trend(series: Row[], start: string): HTMLElement {
  const points = series.filter((r) => num(r, "score") !== null);
  const width = 640, height = 180, left = 34, bottom = 22;
  const scores = points.map((r) => num(r, "score") ?? 0);
  const low = Math.min(55, ...scores.map((s) => Math.floor(s / 5) * 5)), high = 100;
  const x = (i: number) => left + (points.length < 2 ? 0 : (i * (width - left - 10)) / (points.length - 1));
  const y = (s: number) => 6 + ((high - s) * (height - bottom - 6)) / (high - low);
  const [normal, blue, yellow, orange] = view.bands;
  const bands: [number, number, string][] = [[blue, normal, "blue"], [yellow, blue, "yellow"], [orange, yellow, "orange"], [low, orange, "red"]];
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "trend", role: "img", "aria-label": t("指数走势", "Index over time") });
  for (const [from, to, name] of bands) {
    if (to > low) chart.append(svg("rect", { x: left, y: y(to), width: width - left - 10, height: Math.max(0, y(Math.max(from, low)) - y(to)), class: `band ${name}` }));
  }
  for (const tick of [60, 70, 80, 90, 100].filter((s) => s >= low)) {
    const label = svg("text", { x: left - 6, y: y(tick) + 4, class: "axis", "text-anchor": "end" });
    label.textContent = String(tick);
    chart.append(label);
  }
  chart.append(svg("polyline", { points: points.map((r, i) => `${x(i)},${y(num(r, "score") ?? 0)}`).join(" "), class: "line" }));
  points.forEach((r, i) => {
    const dot = svg("circle", { cx: x(i), cy: y(num(r, "score") ?? 0), r: text(r, "start") === start ? 5 : 3, class: `dot ${text(r, "grade") || "none"}` });
    const title = svg("title", {});
    title.textContent = `${periodName(text(r, "start"), text(r, "period"))} ${decimal(num(r, "score"), 1)}`;
    dot.append(title);
    chart.append(dot);
    if (i === 0 || i === points.length - 1 || text(r, "start") === start) {
      const label = svg("text", { x: x(i), y: height - 5, class: "axis", "text-anchor": i === 0 ? "start" : i === points.length - 1 ? "end" : "middle" });
      label.textContent = text(r, "start").slice(0, 7);
      chart.append(label);
    }
  });
  const box = h("figure", { class: "panel-box" }, h("h2", null, t("走势", "Over time")));
  box.append(chart);
  return box;
}

function head(index: Row, region: string, period: string, start: string): HTMLElement {
  const score = num(index, "score");
  const previous = num(index, "previous");
  const change = score !== null && previous !== null ? score - previous : null;
  const rank = num(index, "rank");
  return h("header", { class: "index-head" },
    h("div", { class: "score" }, h("span", { class: "hint" }, `${nameOf(region)} · ${periodName(start, period)}`), h("b", { class: "num", id: "score" }, decimal(score, 1)), grade(text(index, "grade"))),
    h("dl", { class: "facts" },
      h("div", null, h("dt", null, t("比上期", "Against the period before")), h("dd", { class: `num ${change === null ? "flat" : change < 0 ? "bad" : "good"}` }, change === null ? "–" : `${change > 0 ? "+" : ""}${decimal(change, 1)} ${t("分", "points")}`)),
      h("div", null, h("dt", null, t("排名", "Rank")), h("dd", { class: "num" }, rank === null ? "–" : t(`第 ${rank} 名`, String(rank)))),
      h("div", null, h("dt", null, t("权重±20%时的排名", "Rank with weights ±20 %")), h("dd", { class: "num" }, rank === null ? "–" : `${num(index, "rank_best")} – ${num(index, "rank_worst")}`)),
      h("div", null, h("dt", null, t("指标齐全率", "Coverage")), h("dd", { class: "num" }, `${decimal((num(index, "coverage") ?? 0) * 100, 0)}%`)),
      h("div", { class: "wide" }, h("dt", null, t("分级理由", "Why this grade")), h("dd", null, text(index, "reason") || "–"))));
}

function best(indicators: Row[], region: string, period: string, start: string): HTMLElement {
  const top = indicators.filter((r) => (num(r, "gain") ?? 0) > 0).sort((a, b) => (num(b, "gain") ?? 0) - (num(a, "gain") ?? 0)).slice(0, 3);
  return h("section", { class: "panel-box" }, h("h2", null, t("最能提升指数的指标", "What would raise it most")),
    top.length === 0 ? h("p", { class: "empty" }, t("各指标均已达到满意值。", "Every indicator is satisfactory.")) :
      h("ol", { class: "gains" }, top.map((r) => {
        const indicator = view.indicators.find((i) => i.id === text(r, "indicator"));
        return h("li", null,
          h("a", { href: indicator ? behind(indicator, region, period, start) : "#", "data-behind": text(r, "indicator") }, indicator?.label ?? text(r, "indicator")),
          h("span", { class: "num good" }, `+${decimal(num(r, "gain"), 1)} ${t("分", "points")}`),
          h("span", { class: "hint" }, t(`由 ${decimal(num(r, "value"), 2)} 达到满意值 ${decimal(num(r, "satisfactory"), 2)} ${text(r, "unit")}`, `from ${decimal(num(r, "value"), 2)} to ${decimal(num(r, "satisfactory"), 2)} ${text(r, "unit")}`)));
      })));
}

function composition(all: Row[], region: string, period: string, start: string): HTMLElement {
  const heads = [t("指标", "Indicator"), t("指标值", "Value"), t("不允许值 → 满意值", "Inadmissible → satisfactory"), t("功效系数", "Position"), t("得分", "Score"), t("权重", "Weight"), t("贡献", "Points"), t("提升空间", "Gain")];
  const body: HTMLElement[] = [];
  for (const [id, label, weight] of view.dimensions) {
    const dimension = all.find((r) => r.part === "dimension" && r.dimension === id);
    if (!dimension) continue;
    body.push(h("tr", { class: "dimension" }, h("th", { scope: "row", colspan: 4 }, label, h("span", { class: "hint" }, ` ${t("权重", "weight")} ${weight}`)), h("td", { class: "num" }, h("b", null, decimal(num(dimension, "score"), 1))), h("td", { class: "num" }, decimal(num(dimension, "weight"), 3)), h("td", null), h("td", null)));
    for (const r of all.filter((one) => one.part === "indicator" && one.dimension === id).sort((a, b) => (num(b, "gain") ?? -1) - (num(a, "gain") ?? -1))) {
      const indicator = view.indicators.find((i) => i.id === text(r, "indicator"));
      const missing = r.missing === true;
      body.push(h("tr", { "data-indicator": text(r, "indicator"), class: missing ? "missing" : undefined },
        h("td", null, indicator ? h("a", { href: behind(indicator, region, period, start), title: indicator.definition }, indicator.label) : text(r, "indicator"), h("div", { class: "hint" }, indicator ? (level(region) === "street" && indicator.street_bounds ? indicator.street_bounds : indicator.bounds) : "")),
        h("td", { class: "num" }, missing ? h("span", { class: "bad" }, t("缺失", "missing")) : `${decimal(num(r, "value"), 2)} `, missing ? null : h("span", { class: "hint" }, text(r, "unit"))),
        h("td", { class: "num" }, `${decimal(num(r, "inadmissible"), 2)} → ${decimal(num(r, "satisfactory"), 2)}`),
        h("td", null, missing ? t("已剔除，权重重新归一", "left out, weights renormalised") : bar(num(r, "position")), missing ? null : h("span", { class: "hint num" }, ` ${decimal(num(r, "position"), 2)}`)),
        h("td", { class: "num" }, decimal(num(r, "score"), 1)),
        h("td", { class: "num" }, decimal(num(r, "weight"), 3)),
        h("td", { class: "num" }, decimal(num(r, "contribution"), 2)),
        h("td", { class: "num" }, missing ? "–" : `+${decimal(num(r, "gain"), 2)}`)));
    }
  }
  return h("section", { class: "composition" }, h("h2", null, t("构成与贡献", "What it is made of")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, heads.map((name, i) => h("th", { class: i === 0 || i === 3 ? undefined : "num" }, name)))), h("tbody", null, body))));
}

function peers(list: Row[], region: string, period: string): HTMLElement {
  const sorted = list.filter((r) => num(r, "score") !== null).sort((a, b) => (num(b, "score") ?? 0) - (num(a, "score") ?? 0));
  return h("section", { class: "panel-box" }, h("h2", null, t("同级比较", "Beside its peers")),
    h("ol", { class: "peers" }, sorted.map((r) => h("li", { "aria-current": text(r, "region") === region ? "true" : undefined },
      h("a", { href: address({ region: text(r, "region"), period, start: text(r, "start") }) }, nameOf(text(r, "region"))),
      h("span", { class: "num" }, decimal(num(r, "score"), 1)), grade(text(r, "grade")),
      h("span", { class: "hint num" }, `${num(r, "rank") ?? "–"} (${num(r, "rank_best") ?? "–"}–${num(r, "rank_worst") ?? "–"})`)))));
}

function method(index: Row): HTMLElement {
  const form: Record<string, string> = { linear: t("线性", "linear"), exponential: t("指数型", "exponential"), logarithmic: t("对数型", "logarithmic") };
  const [normal, blue, yellow, orange] = view.bands;
  return h("section", { class: "panel-box method" }, h("h2", null, t("方法与版本", "Method and versions")),
    h("dl", { class: "facts column" },
      h("div", null, h("dt", null, t("公式", "Formula")), h("dd", null, t("得分 = (指标值 − 不允许值) ÷ (满意值 − 不允许值) × 40 + 60，", "score = (value − inadmissible) ÷ (satisfactory − inadmissible) × 40 + 60, "), `${form[view.form] ?? view.form}${t("；汇总：", "; put together: ")}${view.aggregation === "geometric" ? t("几何平均", "geometric mean") : t("加权算术平均", "weighted mean")}${t("；功效系数下限 ", "; least position ")}${view.t_min}`)),
      h("div", null, h("dt", null, t("分级", "Grades")), h("dd", null, t(`${normal} 分以上正常，${blue} 蓝，${yellow} 黄，${orange} 橙，以下红（指数分级，不是突发事件应对法的预警级别）`, `from ${normal} normal, ${blue} blue, ${yellow} yellow, ${orange} orange, below red`))),
      h("div", null, h("dt", null, t("依据", "Basis")), h("dd", null, view.basis.join("；"))),
      h("div", null, h("dt", null, t("规则版本", "Version")), h("dd", null, text(index, "version"), text(index, "version") === view.version ? "" : t(`（现行 ${view.version}）`, ` (in force: ${view.version})`))),
      view.note ? h("div", null, h("dt", null, t("说明", "Note")), h("dd", null, view.note)) : null));
}

function choices(region: string, period: string, start: string, starts: string[]): void {
  const select = (name: string, label: string, options: [string, string][], value: string) =>
    h("label", null, label, h("select", { name, onchange: (e: Event) => go({ [name]: (e.target as HTMLSelectElement).value, ...(name === "period" ? { start: "" } : {}) }) }, options.map(([v, text]) => h("option", { value: v, selected: v === value }, text))));
  byId("choice").replaceChildren(
    select("region", t("区划", "Region"), view.regions.map(([c, n]) => [c, c.length > 6 ? `　${n}` : n]), region),
    select("period", t("周期", "Period"), PERIODS.map(([v, zh, en]) => [v, t(zh, en)]), period),
    select("start", t("时段", "Which"), starts.map((s) => [s, periodName(s, period)]), start));
}

async function show(): Promise<void> {
  const box = byId("index");
  const params = new URLSearchParams(location.search);
  const region = params.get("region") || view.regions[0]?.[0] || "310000";
  const period = params.get("period") || "month";
  box.setAttribute("aria-busy", "true");
  try {
    const series = (await rows([{ region: { eq: region } }, { period: { eq: period } }, { part: { eq: "index" } }], ["-start"], 60)).reverse();
    const starts = series.map((r) => text(r, "start")).reverse();
    const asked = params.get("start") ?? "";
    const start = starts.includes(asked) ? asked : (starts[0] ?? "");
    choices(region, period, start, starts);
    if (!start) {
      box.replaceChildren(h("p", { class: "empty" }, t("这个区划还没有得分。请在「模型运行」中运行社会治安指数，或换一个区划、周期。", "No scores yet. Run the model, or choose another region or period.")), h("p", null, h("a", { class: "button", href: "/models?model=security-index" }, t("去模型运行", "Models"))));
      return;
    }
    const [parts, others] = await Promise.all([
      rows([{ region: { eq: region } }, { period: { eq: period } }, { start: { eq: start } }], ["part"], 100),
      rows([{ level: { eq: level(region) } }, { period: { eq: period } }, { start: { eq: start } }, { part: { eq: "index" } }], ["region"], 400),
    ]);
    const index = parts.find((r) => r.part === "index") ?? {};
    const indicators = parts.filter((r) => r.part === "indicator");
    const prefix = region.slice(0, 6);
    const near = level(region) === "street" ? others.filter((r) => text(r, "region").startsWith(prefix)) : others;
    box.replaceChildren(head(index, region, period, start),
      h("div", { class: "index-grid" }, best(indicators, region, period, start), trend(series, start)),
      composition(parts, region, period, start),
      h("div", { class: "index-grid" }, near.length > 1 ? peers(near, region, period) : null, method(index)));
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    box.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  } finally {
    box.removeAttribute("aria-busy");
  }
}

window.addEventListener("popstate", () => void show());
void show();
