// A map on a canvas that needs nothing from elsewhere: the city's own regions as its ground, layers of
// points, vectors, shapes and densities over it. A configured tile service can lie under it.

import { h, t } from "./dom";
import { type LonLat, type Settings, TILE, credit, project, tilesOver, unproject } from "./tiles";

export type { LonLat, Settings };

interface Geometry { type: string; coordinates: unknown }
interface Feature { properties?: Record<string, unknown> | null; geometry: Geometry | null }
export interface Collection { features: Feature[] }
export interface Marker { at: LonLat; label?: string; size?: number; tone?: string }
export interface Shape { ring: LonLat[]; fill: number; label?: string }
export interface Grid { origin: LonLat; step: LonLat; columns: number; rows: number; values: number[]; max: number }

type Ring = Float64Array;
/** From pale to strong, for a share of 0 to 1. */
export function heatColour(share: number, alpha = 0.72): string {
  const stops = [[254, 240, 200], [253, 190, 110], [240, 110, 60], [190, 30, 50]] as const;
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = stops[Math.floor(at)] ?? stops[0];
  const high = stops[Math.min(Math.floor(at) + 1, stops.length - 1)] ?? low;
  const mix = low.map((v, i) => Math.round(v + (at % 1) * ((high[i] ?? v) - v)));
  return `rgba(${mix.join(",")},${alpha})`;
}

export class CityMap {
  private readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private base: { rings: Ring[]; name: string; label: [number, number] | null }[] = [];
  private markers: Marker[] = [];
  private shapes: Shape[] = [];
  private vectors: { from: LonLat; to: LonLat }[] = [];
  private grid: { image: HTMLCanvasElement; corners: [[number, number], [number, number]] } | null = null;
  private centre: [number, number] = project([121.47, 31.2]);
  /** Pixels that the world is wide. */
  private scale = TILE * 2 ** 9;
  private readonly images = new Map<string, HTMLImageElement>();
  private waiting = false;
  private bounds: [LonLat, LonLat] | null = null;
  onclick: ((at: LonLat) => void) | null = null;

  constructor(
    private readonly host: HTMLElement,
    private readonly settings: Settings,
    label: string,
  ) {
    this.canvas = h("canvas", { class: "citymap-canvas", tabindex: 0, role: "img", "aria-label": label });
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("no canvas");
    this.context = context;
    const button = (text: string, name: string, run: () => void) => h("button", { type: "button", "aria-label": name, title: name, onclick: run }, text);
    host.classList.add("citymap");
    host.replaceChildren(
      this.canvas,
      h("div", { class: "citymap-tools" }, button("+", t("放大", "Zoom in"), () => this.zoom(1.6)), button("−", t("缩小", "Zoom out"), () => this.zoom(1 / 1.6)), button("⌂", t("全市", "Whole city"), () => this.home())),
      h("p", { class: "citymap-foot" }, credit(settings) || t("审图号：未配置", "No map approval number configured")),
    );
    this.listen();
    new ResizeObserver(() => this.redraw()).observe(host);
  }

  /** The ground: regions with their names. */
  setBase(collection: Collection): void {
    this.base = collection.features.map((f) => {
      const rings: Ring[] = [];
      const polygons = f.geometry?.type === "Polygon" ? [f.geometry.coordinates as LonLat[][]] : ((f.geometry?.coordinates ?? []) as LonLat[][][]);
      for (const ring of polygons.flat()) {
        const flat = new Float64Array(ring.length * 2);
        ring.forEach((p, i) => flat.set(project(p), i * 2));
        rings.push(flat);
      }
      const label = f.properties?.label as LonLat | undefined;
      return { rings, name: String(f.properties?.name ?? ""), label: label ? project(label) : null };
    });
    const all = this.base.flatMap((b) => b.rings);
    if (all.length) {
      let [west, north, east, south] = [1, 1, 0, 0];
      for (const ring of all) for (let i = 0; i < ring.length; i += 2) {
        west = Math.min(west, ring[i] ?? 1); east = Math.max(east, ring[i] ?? 0);
        north = Math.min(north, ring[i + 1] ?? 1); south = Math.max(south, ring[i + 1] ?? 0);
      }
      this.bounds = [unproject([west, south]), unproject([east, north])];
    }
    this.home();
  }

  setMarkers(markers: Marker[], fit = false): void {
    this.markers = markers;
    if (fit && markers.length) this.fit(markers.map((m) => m.at));
    else this.redraw();
  }

  setShapes(shapes: Shape[]): void { this.shapes = shapes; this.redraw(); }

  setVectors(vectors: { from: LonLat; to: LonLat }[]): void { this.vectors = vectors; this.redraw(); }

  setGrid(grid: Grid | null): void {
    this.grid = null;
    if (grid && grid.max > 0) {
      const image = h("canvas");
      image.width = grid.columns; image.height = grid.rows;
      const context = image.getContext("2d");
      if (context) {
        for (let row = 0; row < grid.rows; row++) for (let column = 0; column < grid.columns; column++) {
          const share = (grid.values[row * grid.columns + column] ?? 0) / grid.max;
          if (share < 0.02) continue;
          context.fillStyle = heatColour(Math.sqrt(share), 0.25 + 0.55 * Math.sqrt(share));
          context.fillRect(column, grid.rows - 1 - row, 1, 1);
        }
        const [west, south] = [grid.origin[0] - grid.step[0] / 2, grid.origin[1] - grid.step[1] / 2];
        this.grid = { image, corners: [project([west, south + grid.step[1] * grid.rows]), project([west + grid.step[0] * grid.columns, south])] };
      }
    }
    this.redraw();
  }

  clear(): void { this.markers = []; this.shapes = []; this.vectors = []; this.grid = null; this.redraw(); }

  home(): void { if (this.bounds) this.fit(this.bounds); else this.redraw(); }

  fit(points: LonLat[]): void {
    const flat = points.map(project);
    const [xs, ys] = [flat.map((p) => p[0]), flat.map((p) => p[1])];
    const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    this.centre = [(west + east) / 2, (north + south) / 2];
    const box = this.host.getBoundingClientRect();
    const room = (size: number, extent: number) => (size * 0.88) / Math.max(extent, 1e-9);
    this.scale = Math.min(room(box.width || 600, east - west), room(box.height || 400, south - north), TILE * 2 ** 15);
    this.redraw();
  }

  private zoom(factor: number, at?: [number, number]): void {
    const before = at ? this.world(at) : null;
    this.scale = Math.min(Math.max(this.scale * factor, TILE * 2 ** 7), TILE * 2 ** 18);
    if (at && before) {
      const after = this.world(at);
      this.centre = [this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]];
    }
    this.redraw();
  }

  private size(): [number, number] { return [this.canvas.clientWidth, this.canvas.clientHeight]; }

  private world([px, py]: [number, number]): [number, number] {
    const [w, hgt] = this.size();
    return [this.centre[0] + (px - w / 2) / this.scale, this.centre[1] + (py - hgt / 2) / this.scale];
  }

  private screen([x, y]: [number, number]): [number, number] {
    const [w, hgt] = this.size();
    return [(x - this.centre[0]) * this.scale + w / 2, (y - this.centre[1]) * this.scale + hgt / 2];
  }

  private listen(): void {
    const c = this.canvas;
    let from: [number, number] | null = null;
    let moved = false;
    c.addEventListener("pointerdown", (e) => { from = [e.offsetX, e.offsetY]; moved = false; c.setPointerCapture(e.pointerId); });
    c.addEventListener("pointermove", (e) => {
      if (!from) return;
      const [dx, dy] = [e.offsetX - from[0], e.offsetY - from[1]];
      if (!moved && Math.hypot(dx, dy) < 4) return;
      moved = true;
      this.centre = [this.centre[0] - dx / this.scale, this.centre[1] - dy / this.scale];
      from = [e.offsetX, e.offsetY];
      this.redraw();
    });
    c.addEventListener("pointerup", (e) => {
      if (from && !moved) this.onclick?.(unproject(this.world([e.offsetX, e.offsetY])));
      from = null;
    });
    c.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(e.deltaY < 0 ? 1.25 : 0.8, [e.offsetX, e.offsetY]); }, { passive: false });
    c.addEventListener("keydown", (e) => {
      const step = 60 / this.scale;
      const moves: Record<string, () => void> = {
        ArrowLeft: () => (this.centre[0] -= step), ArrowRight: () => (this.centre[0] += step),
        ArrowUp: () => (this.centre[1] -= step), ArrowDown: () => (this.centre[1] += step),
        "+": () => this.zoom(1.25), "-": () => this.zoom(0.8),
        Enter: () => this.onclick?.(unproject(this.centre)),
      };
      const move = moves[e.key];
      if (!move) return;
      e.preventDefault();
      move();
      this.redraw();
    });
  }

  private redraw(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  private draw(): void {
    const [w, hgt] = this.size();
    if (!w || !hgt) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(hgt * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(hgt * ratio);
    }
    const g = this.context;
    const style = getComputedStyle(this.host);
    const colour = (name: string, fallback: string) => style.getPropertyValue(name).trim() || fallback;
    const [line, text, accent, panel] = [colour("--muted", "#8894a4"), colour("--text", "#16202e"), colour("--accent", "#1f6feb"), colour("--panel", "#fff")];
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, hgt);
    if (this.settings.tiles) this.drawTiles(w, hgt);
    const trace = (ring: Ring) => {
      for (let i = 0; i < ring.length; i += 2) {
        const [x, y] = this.screen([ring[i] ?? 0, ring[i + 1] ?? 0]);
        if (i) g.lineTo(x, y); else g.moveTo(x, y);
      }
      g.closePath();
    };
    g.lineWidth = 1; g.strokeStyle = line; g.fillStyle = this.settings.tiles ? "rgba(0,0,0,0)" : panel;
    for (const region of this.base) { g.beginPath(); region.rings.forEach(trace); g.fill("evenodd"); g.stroke(); }
    if (this.grid) {
      const [a, b] = [this.screen(this.grid.corners[0]), this.screen(this.grid.corners[1])];
      g.imageSmoothingEnabled = true;
      g.drawImage(this.grid.image, a[0], a[1], b[0] - a[0], b[1] - a[1]);
    }
    for (const shape of this.shapes) {
      g.beginPath();
      shape.ring.forEach((p, i) => { const [x, y] = this.screen(project(p)); if (i) g.lineTo(x, y); else g.moveTo(x, y); });
      g.closePath();
      g.fillStyle = heatColour(shape.fill);
      g.fill();
    }
    g.font = `12px ${style.fontFamily}`; g.textAlign = "center"; g.textBaseline = "middle";
    const taken: [number, number][] = [];
    for (const region of this.base) {
      if (!region.label) continue;
      const [x, y] = this.screen(region.label);
      if (x < 0 || y < 0 || x > w || y > hgt || taken.some((p) => Math.abs(p[0] - x) < 46 && Math.abs(p[1] - y) < 15)) continue;
      taken.push([x, y]);
      g.lineWidth = 3; g.strokeStyle = panel; g.strokeText(region.name, x, y);
      g.fillStyle = line; g.fillText(region.name, x, y);
    }
    g.strokeStyle = accent; g.fillStyle = accent; g.lineWidth = 1.5;
    for (const v of this.vectors) {
      const [a, b] = [this.screen(project(v.from)), this.screen(project(v.to))];
      g.beginPath(); g.moveTo(...a); g.lineTo(...b); g.stroke();
    }
    this.markers.forEach((m) => {
      const [x, y] = this.screen(project(m.at));
      if (x < -50 || y < -50 || x > w + 50 || y > hgt + 50) return;
      const r = m.size ?? 5;
      g.beginPath(); g.arc(x, y, r, 0, Math.PI * 2);
      g.fillStyle = m.tone ?? accent; g.globalAlpha = r > 8 ? 0.75 : 1; g.fill(); g.globalAlpha = 1;
      g.lineWidth = 1.5; g.strokeStyle = panel; g.stroke();
      if (!m.label) return;
      if (r > 8) { g.fillStyle = panel; g.fillText(m.label, x, y); return; }
      g.textAlign = x > w * 0.7 ? "right" : "left";
      const at = x > w * 0.7 ? x - r - 4 : x + r + 4;
      g.lineWidth = 3; g.strokeStyle = panel; g.strokeText(m.label, at, y);
      g.fillStyle = text; g.fillText(m.label, at, y);
      g.textAlign = "center";
    });
  }

  private drawTiles(w: number, hgt: number): void {
    const box = [unproject(this.world([0, 0])), unproject(this.world([w, hgt]))] as const;
    for (const tile of tilesOver(this.settings, box[0], box[1], this.scale / 360)) {
      let image = this.images.get(tile.url);
      if (!image) {
        if (this.images.size > 400) this.images.clear();
        image = new Image();
        image.addEventListener("load", () => this.redraw());
        image.src = tile.url;
        this.images.set(tile.url, image);
      }
      if (!image.complete || !image.naturalWidth) continue;
      const [p, q] = [this.screen(project(tile.from)), this.screen(project(tile.to))];
      this.context.drawImage(image, p[0], p[1], q[0] - p[0] + 0.5, q[1] - p[1] + 0.5);
    }
  }
}
