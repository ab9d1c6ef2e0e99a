// ECharts on a canvas of design pixels, scaled as a whole: a wall of any size draws the same
// picture with more pixels. Only the parts that boards use are bundled.

import { BarChart, FunnelChart, HeatmapChart, LineChart, MapChart, PieChart, RadarChart, ScatterChart } from "echarts/charts";
import { AriaComponent, CalendarComponent, GeoComponent, GridComponent, LegendPlainComponent, RadarComponent, TitleComponent, TooltipComponent, VisualMapContinuousComponent, VisualMapPiecewiseComponent } from "echarts/components";
import { type ECharts, getMap, init, registerMap, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";
import { h, t } from "./dom";
import { amount, decimal } from "./format";
import type { Cell, Json } from "./types";

use([BarChart, FunnelChart, HeatmapChart, LineChart, MapChart, PieChart, RadarChart, ScatterChart, AriaComponent, CalendarComponent, GeoComponent, GridComponent, LegendPlainComponent, RadarComponent, TitleComponent, TooltipComponent,
  VisualMapContinuousComponent, VisualMapPiecewiseComponent, LabelLayout, CanvasRenderer]);

interface Extra {
  unit: string;
  full: string[];
  series: { name: string; unit: string; digits: number; color: string }[];
}

export type Option = { [key: string]: Json };

interface Feature {
  type: "Feature";
  properties: { code: string; name: string; name_en?: string };
  geometry: unknown;
}

/** Districts of the centre, which have a map of their own beside the whole. */
const CORE = new Set(["310101", "310104", "310105", "310106", "310107", "310109", "310110"]);
const names = new Map<string, string>();
let regions: Promise<void> | null = null;

/** The shapes of the map, fetched once; a failure is tried again with the next map. */
export function loadRegions(): Promise<void> {
  regions ??= fetch("/api/v1/geo/regions", { credentials: "same-origin" })
    .then((response) => {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return response.json() as Promise<{ type: "FeatureCollection"; features: Feature[] }>;
    })
    .then((all) => {
      const districts = all.features.filter((f) => String(f.properties.code).length === 6);
      for (const f of districts) names.set(f.properties.code, t(f.properties.name, f.properties.name_en ?? f.properties.name));
      const collection = (features: Feature[]) => ({ type: "FeatureCollection", features }) as never;
      registerMap("shanghai", collection(districts));
      registerMap("shanghai-core", collection(districts.filter((f) => CORE.has(f.properties.code))));
    })
    .catch((error: unknown) => {
      regions = null;
      throw error;
    });
  return regions;
}

const short = (name: string): string => (name.length > 2 ? name.replace(/(新区|区)$/, "") : name);

/** Colours by name (`$accent`) from the style sheet, formatters by name (`@tip`) from here. */
function resolve(value: Json, colors: CSSStyleDeclaration, formatters: Record<string, unknown>): unknown {
  if (typeof value === "string") {
    if (value.startsWith("$")) return colors.getPropertyValue(`--${value.slice(1)}`).trim() || "#888";
    if (value.startsWith("@")) return formatters[value.slice(1)] ?? value;
    return value;
  }
  if (Array.isArray(value)) return value.map((v) => resolve(v, colors, formatters));
  if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v, colors, formatters)]));
  return value;
}

interface Param {
  componentType: string;
  seriesIndex: number;
  seriesName: string;
  name: string;
  dataIndex: number;
  value: unknown;
  percent?: number;
  color?: string;
  data?: { value?: unknown; cell?: Cell; title?: string; text?: string; index?: number; more?: [string, string][] } | null;
}

function formatters(extra: Extra): Record<string, unknown> {
  const value = (x: unknown, series: number) => {
    const info = extra.series[series] ?? extra.series[0];
    const unit = info?.unit ?? extra.unit;
    return `${decimal(typeof x === "number" ? x : null, info?.digits ?? 0)}${unit ? ` ${unit}` : ""}`;
  };
  const line = (name: string, text: string, color?: string) => {
    const key = color ? h("i", null) : null;
    if (key && color) key.style.background = color;
    return h("div", null, key, h("span", null, name), h("b", null, text));
  };
  const title = (text: string) => h("h4", null, text);
  const tip = (params: Param | Param[]): HTMLElement | string => {
    const list = Array.isArray(params) ? params : [params];
    const first = list[0];
    if (!first) return "";
    const one = !Array.isArray(params);
    if (one && Array.isArray(first.value) && !first.data?.more) {
      const [x, y, n] = first.value as number[];
      const row = extra.series[y ?? 0];
      return h("div", { class: "tip" }, title(`${row?.name ?? ""} ${extra.full[x ?? 0] ?? ""}`), line(extra.unit ? "" : t("数量", "count"), value(n, y ?? 0)));
    }
    if (one && first.data && "title" in first.data) {
      const name = names.get(first.name) ?? first.data.title ?? first.name;
      return h("div", { class: "tip" }, title(name), (first.data.more ?? []).map(([label, text]) => line(label, text)));
    }
    if (one && first.percent !== undefined) {
      return h("div", { class: "tip" }, title(extra.full[first.dataIndex] ?? first.name), line(t("数量", "count"), value(first.value, 0)), line(t("占比", "share"), `${first.percent.toFixed(1)}%`));
    }
    if (one && (!first.data || (names.has(first.name) && first.data.title === undefined))) return h("div", { class: "tip" }, title(names.get(first.name) ?? first.name), h("p", null, t("没有数据", "no data")));
    const rows = [...list].reverse().map((p) => line(p.seriesName, value(p.value, p.seriesIndex), p.color));
    return h("div", { class: "tip" }, title(extra.full[first.dataIndex] ?? first.name), rows);
  };
  /** A shape of a radar: its value on every spoke. */
  const spokes = (p: Param) => {
    const at = extra.series.findIndex((s) => s.name === p.name);
    const values = Array.isArray(p.value) ? (p.value as unknown[]) : [];
    return h("div", { class: "tip" }, title(p.name), extra.full.map((name, i) => line(name, value(values[i], at))));
  };
  const day = (p: Param) => {
    const [date, n] = p.value as [string, number | null];
    return h("div", { class: "tip" }, title(date), line(extra.series[0]?.name ?? "", value(n, 0)));
  };
  return {
    amount,
    tip,
    spokes,
    day,
    stage: (p: Param) => `${p.name}  ${decimal(p.value as number, extra.series[0]?.digits ?? 0)}`,
    value: (p: Param) => decimal(p.value as number, extra.series[p.seriesIndex]?.digits ?? 0),
    share2: (p: Param) => `${p.name}\n${(p.percent ?? 0).toFixed(1)}%`,
    share: (p: Param) => `${p.name} ${(p.percent ?? 0).toFixed(1)}%`,
    region: (p: Param) => (p.data?.title ? `${p.data.title}\n${p.data.text ?? ""}` : short(names.get(p.name) ?? p.name)),
  };
}

/** One chart in a box. Options replace each other; nothing is appended. */
export class Chart {
  private readonly inner = h("div", { class: "chart-scale" });
  private chart: ECharts | null = null;
  private option: Option | null = null;
  private key = "";
  private mapped = false;
  private timer = 0;
  private readonly watcher = new ResizeObserver(() => {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.paint(), 60);
  });

  constructor(
    private readonly box: HTMLElement,
    private readonly pick: (cell: Cell, label: string) => void,
  ) {
    box.append(this.inner);
    this.watcher.observe(box);
  }

  async draw(option: Option): Promise<void> {
    this.option = option;
    const text = JSON.stringify(option.geo ?? option.series ?? null);
    this.mapped = text.includes('"shanghai');
    if (this.mapped) await loadRegions();
    if (this.option === option) this.paint();
  }

  /** Draws again: the box, the root size or the theme has changed. */
  paint(): void {
    if (!this.option || (this.mapped && !getMap("shanghai")) || !this.fit()) return;
    const { zl, bounds, ...rest } = this.option;
    if (Array.isArray(bounds)) frame(bounds as number[]);
    const extra = (zl ?? { unit: "", full: [], series: [] }) as unknown as Extra;
    const option = resolve(rest as Json, getComputedStyle(document.documentElement), formatters(extra)) as Record<string, unknown>;
    const base = option.textStyle as Record<string, unknown> | undefined;
    option.textStyle = { ...base, fontFamily: getComputedStyle(document.body).fontFamily };
    if (option.tooltip) {
      const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
      option.tooltip = { className: "tip-frame", backgroundColor: color("raised"), borderColor: color("line"), borderWidth: 1, padding: [8, 12], textStyle: { color: color("text") }, ...(option.tooltip as object) };
    }
    const part = this.chart ? crop(option, this.chart.getHeight()) : "";
    const unit = this.box.closest<HTMLElement>(".panel")?.querySelector<HTMLElement>(".panel-unit");
    if (unit && part) unit.dataset.part = part;
    else delete unit?.dataset.part;
    this.chart?.setOption(option as never, { notMerge: true });
  }

  /** What a mark is called in a heading. */
  private label(p: Param): string {
    const zl = this.option?.zl as unknown as Extra | undefined;
    if (p.data?.title) return p.data.title;
    if (p.data?.index !== undefined) return zl?.full[p.data.index] ?? "";
    if (Array.isArray(p.value)) return [zl?.series[Number(p.value[1])]?.name, zl?.full[Number(p.value[0])]].filter(Boolean).join(" ");
    return names.get(p.name) ?? zl?.full[p.dataIndex] ?? p.name;
  }

  /** Makes canvas and scale fit the box; false while the box is not shown. */
  private fit(): boolean {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (width < 20 || height < 20) return false;
    const k = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
    const ratio = window.devicePixelRatio * k;
    const [w, hgt] = [width / k, height / k];
    const key = `${ratio}`;
    this.inner.style.width = `${w}px`;
    this.inner.style.height = `${hgt}px`;
    this.inner.style.transform = k === 1 ? "" : `scale(${k})`;
    if (this.chart && key !== this.key) this.drop();
    if (!this.chart) {
      this.key = key;
      this.chart = init(this.inner, null, { renderer: "canvas", devicePixelRatio: ratio, width: w, height: hgt });
      this.chart.on("click", (params) => {
        const cell = (params.data as { cell?: Cell } | null)?.cell;
        if (cell) this.pick(cell, this.label(params as unknown as Param));
      });
    } else if (this.chart.getWidth() !== Math.round(w) || this.chart.getHeight() !== Math.round(hgt)) {
      this.chart.resize({ width: w, height: hgt });
    }
    return true;
  }

  /** Ends the chart for good. */
  close(): void {
    this.watcher.disconnect();
    window.clearTimeout(this.timer);
    this.option = null;
    this.drop();
  }

  private drop(): void {
    this.chart?.dispose();
    this.chart = null;
  }
}

interface Axis {
  type?: string;
  show?: boolean;
  data?: unknown[];
}

/** Bars that lie need room for their names: what does not fit is left out, and the head of the panel says how many there are. */
function crop(option: Record<string, unknown>, height: number): string {
  const [names, values, series] = [option.yAxis as Axis | undefined, option.xAxis as Axis | undefined, option.series as { type?: string; stack?: string; data?: unknown[] }[] | undefined];
  if (names?.type !== "category" || !names.data || !series?.length || series.some((s) => s.type !== "bar")) return "";
  const side = series.some((s) => s.stack) ? 1 : series.length;
  const [top, bottom] = [Number((option.grid as { top?: number } | undefined)?.top ?? 0), values?.show === false ? 4 : 26];
  const room = Math.max(2, Math.floor((height - top - bottom) / Math.max(19, 7 * side + 6)));
  const all = names.data.length;
  if (all <= room) return "";
  names.data = names.data.slice(0, room);
  for (const one of series) one.data = one.data?.slice(0, room);
  return `${room}/${all}`;
}

/** A map that is only a rectangle: the ground of points outside the city. */
function frame([west = 0, south = 0, east = 1, north = 1]: number[]): void {
  if (getMap("points")) return;
  const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
  const feature = { type: "Feature", properties: { name: "", code: "" }, geometry: { type: "Polygon", coordinates: [ring] } };
  registerMap("points", { type: "FeatureCollection", features: [feature] } as never);
}
