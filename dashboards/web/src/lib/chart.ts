// ECharts on a canvas of design pixels, scaled as a whole: a wall of any size draws the same
// picture with more pixels. Only the parts that boards use are bundled.

import { BarChart, CustomChart, FunnelChart, HeatmapChart, LineChart, MapChart, PieChart, RadarChart, ScatterChart } from "echarts/charts";
import { AriaComponent, CalendarComponent, GeoComponent, GridComponent, LegendPlainComponent, RadarComponent, TitleComponent, TooltipComponent, VisualMapContinuousComponent, VisualMapPiecewiseComponent } from "echarts/components";
import { type ECharts, getMap, init, registerMap, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";
import { h, t } from "./dom";
import { amount, decimal } from "./format";
import { type LonLat, type Settings, credit, tilesOver } from "./tiles";
import type { Cell, Json } from "./types";

use([BarChart, CustomChart, FunnelChart, HeatmapChart, LineChart, MapChart, PieChart, RadarChart, ScatterChart, AriaComponent, CalendarComponent, GeoComponent, GridComponent, LegendPlainComponent, RadarComponent, TitleComponent, TooltipComponent,
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
      const core = districts.filter((f) => CORE.has(f.properties.code));
      registerMap("shanghai", collection(districts));
      registerMap("shanghai-core", collection(core));
      extents.set("shanghai", extent(districts));
      extents.set("shanghai-core", extent(core));
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

interface PatchApi { value(at: number): number; coord(at: [number, number]): [number, number]; visual(name: string): string }

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
  /** An area of a heat layer: its value, then its corners. */
  const patch = (_: unknown, item: PatchApi) => {
    const points: [number, number][] = [];
    for (let i = 1; Number.isFinite(item.value(i)); i += 2) points.push(item.coord([item.value(i), item.value(i + 1)]));
    return { type: "polygon", shape: { points }, style: { fill: item.visual("color"), opacity: 0.82 }, emphasis: { style: { opacity: 1 } } };
  };
  return {
    amount,
    patch,
    count: (p: Param) => p.data?.text ?? "",
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

/** West, south, east, north of what is registered under a name. */
const extents = new Map<string, [number, number, number, number]>();

function extent(features: Feature[]): [number, number, number, number] {
  const box: [number, number, number, number] = [180, 90, -180, -90];
  const visit = (at: unknown): void => {
    if (!Array.isArray(at)) return;
    if (typeof at[0] !== "number") return at.forEach(visit);
    const [x, y] = at as LonLat;
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y); box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
  };
  for (const f of features) visit((f.geometry as { coordinates?: unknown } | null)?.coordinates);
  return box;
}

/** One chart in a box. Options replace each other; nothing is appended. */
export class Chart {
  private readonly inner = h("div", { class: "chart-scale" });
  /** Tiles of the city's service below a map. */
  private readonly ground = h("div", { class: "chart-scale chart-ground", "aria-hidden": "true" });
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
    private readonly settings: Settings | null = null,
  ) {
    box.append(this.ground, this.inner);
    this.watcher.observe(box);
  }

  async draw(option: Option): Promise<void> {
    this.option = option;
    const text = JSON.stringify(option.geo ?? option.series ?? null);
    this.mapped = text.includes('"shanghai');
    this.credit(this.mapped || text.includes('"points"'));
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
    if (this.settings?.tiles) translucent(option);
    this.chart?.setOption(option as never, { notMerge: true });
    this.lay();
  }

  /** The 审图号 of a map, below it. */
  private credit(shown: boolean): void {
    const text = shown && this.settings ? credit(this.settings) : "";
    this.box.querySelector(".chart-credit")?.remove();
    if (text) this.box.append(h("p", { class: "chart-credit" }, text));
  }

  /** Puts the tiles where the maps now are. */
  private lay(): void {
    const settings = this.settings;
    const chart = this.chart;
    if (!settings?.tiles || !chart || !this.option) return;
    const kept = new Map([...this.ground.querySelectorAll("img")].map((image) => [image.dataset.tile ?? "", image]));
    const views: [object, string][] = this.option.geo
      ? [[{ geoIndex: 0 }, String((this.option.geo as { map?: string }).map)]]
      : ((this.option.series ?? []) as { type?: string; map?: string }[]).flatMap((s, i) => (s.type === "map" ? [[{ seriesIndex: i }, String(s.map)] as [object, string]] : []));
    const sheets = views.flatMap(([finder, name]) => {
      const box = extents.get(name);
      if (!box) return [];
      const at = (p: LonLat): LonLat => chart.convertToPixel(finder, p) as LonLat;
      const [a, b] = [at([box[0], box[3]]), at([box[2], box[1]])];
      if (![...a, ...b].every(Number.isFinite) || b[0] - a[0] < 2) return [];
      const sheet = h("div", { class: "chart-sheet" });
      const place = (el: HTMLElement, from: LonLat, to: LonLat, origin: LonLat) => {
        el.style.left = `${from[0] - origin[0]}px`;
        el.style.top = `${from[1] - origin[1]}px`;
        el.style.width = `${to[0] - from[0]}px`;
        el.style.height = `${to[1] - from[1]}px`;
      };
      place(sheet, a, b, [0, 0]);
      // What is zoomed out of sight is not asked for.
      const seen = [[0, 0], [chart.getWidth(), chart.getHeight()]].map((p) => chart.convertFromPixel(finder, p) as LonLat);
      const [west, north] = [Math.max(box[0], seen[0]?.[0] ?? -180), Math.min(box[3], seen[0]?.[1] ?? 90)];
      const [east, south] = [Math.min(box[2], seen[1]?.[0] ?? 180), Math.max(box[1], seen[1]?.[1] ?? -90)];
      if (!(west < east && south < north)) return [];
      const scale = ((b[0] - a[0]) / (box[2] - box[0])) * chart.getDevicePixelRatio();
      sheet.append(...tilesOver(settings, [west, north], [east, south], scale).map((tile) => {
        const key = `${name} ${tile.url}`;
        const image = kept.get(key) ?? h("img", { alt: "", "data-tile": key, src: tile.url, draggable: "false" });
        place(image, at(tile.from), at(tile.to), a);
        return image;
      }));
      return [sheet];
    });
    this.ground.replaceChildren(...sheets);
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
    for (const layer of [this.inner, this.ground]) {
      layer.style.width = `${w}px`;
      layer.style.height = `${hgt}px`;
      layer.style.transform = k === 1 ? "" : `scale(${k})`;
    }
    if (this.chart && key !== this.key) this.drop();
    if (!this.chart) {
      this.key = key;
      this.chart = init(this.inner, null, { renderer: "canvas", devicePixelRatio: ratio, width: w, height: hgt });
      this.chart.on("georoam", () => this.lay());
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

/** Areas over tiles let them shine through. */
function translucent(option: Record<string, unknown>): void {
  const geo = option.geo as { itemStyle?: Record<string, unknown> } | undefined;
  if (geo?.itemStyle) geo.itemStyle.areaColor = "rgba(0,0,0,0)";
  for (const series of (option.series ?? []) as { type?: string; itemStyle?: Record<string, unknown> }[]) {
    if (series.type === "map") series.itemStyle = { ...series.itemStyle, opacity: 0.7 };
  }
}

/** A map that is only a rectangle: the ground of points outside the city. */
function frame([west = 0, south = 0, east = 1, north = 1]: number[]): void {
  if (getMap("points")) return;
  const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
  extents.set("points", [west, south, east, north]);
  const feature = { type: "Feature", properties: { name: "", code: "" }, geometry: { type: "Polygon", coordinates: [ring] } };
  registerMap("points", { type: "FeatureCollection", features: [feature] } as never);
}
