// The tiles of a configured service under a map. Tiles cut in GCJ-02 degrees are put back where they
// belong in WGS-84; the formula and its source are those of geo/src/gcj.rs.

import { t } from "./dom";

export type LonLat = [number, number];
export interface Settings {
  /** Address of tiles with {z}, {x}, {y} (Web Mercator); empty: none. */
  tiles: string;
  tiles_crs: "wgs84" | "gcj02";
  /** 审图号 of the map. */
  approval: string;
  attribution: string;
}

export interface Tile {
  url: string;
  /** North-west and south-east corner, WGS-84. */
  from: LonLat;
  to: LonLat;
}

export const TILE = 256;
const DEEPEST = 18;
/** More tiles than this are not asked for one picture. */
const MOST = 160;

/** Web Mercator of degrees, the world being 1 by 1. */
export function project([lon, lat]: LonLat): [number, number] {
  return [(lon + 180) / 360, (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2];
}

export function unproject([x, y]: [number, number]): LonLat {
  return [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];
}

/** The de-facto public algorithm of GCJ-02. */
export function toGcj([lon, lat]: LonLat): LonLat {
  if (lon < 72.004 || lon > 137.8347 || lat < 0.8293 || lat > 55.8271) return [lon, lat];
  const [x, y, pi] = [lon - 105, lat - 35, Math.PI];
  const waves = (v: number, a: number, b: number, c: number, d: number, e: number, f: number) => ((a * Math.sin(v * pi * b) + c * Math.sin(v * pi * d) + e * Math.sin(v * pi * f)) * 2) / 3;
  const common = ((20 * Math.sin(6 * x * pi) + 20 * Math.sin(2 * x * pi)) * 2) / 3;
  const north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x)) + common + waves(y, 20, 1, 40, 1 / 3, 0, 0) + ((160 * Math.sin((y * pi) / 12) + 320 * Math.sin((y * pi) / 30)) * 2) / 3;
  const east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x)) + common + waves(x, 20, 1, 40, 1 / 3, 0, 0) + ((150 * Math.sin((x * pi) / 12) + 300 * Math.sin((x * pi) / 30)) * 2) / 3;
  const [a, ee] = [6378245, 0.00669342162296594323];
  const phi = (lat * pi) / 180;
  const m = 1 - ee * Math.sin(phi) ** 2;
  return [lon + (east * 180) / ((a / Math.sqrt(m)) * Math.cos(phi) * pi), lat + (north * 180) / (((a * (1 - ee)) / (m * Math.sqrt(m))) * pi)];
}

/** The way back: three steps of the fixed point leave less than a tenth of a millimetre. */
export function fromGcj(to: LonLat): LonLat {
  let at = to;
  for (let i = 0; i < 3; i++) {
    const there = toGcj(at);
    at = [at[0] + to[0] - there[0], at[1] + to[1] - there[1]];
  }
  return at;
}

/** The tiles over a box, at the depth where one of their pixels is about one of the screen. */
export function tilesOver(settings: Settings, from: LonLat, to: LonLat, pixelsPerDegree: number): Tile[] {
  const shifted = settings.tiles_crs === "gcj02";
  let z = Math.min(Math.max(Math.round(Math.log2((pixelsPerDegree * 360) / TILE)), 0), DEEPEST);
  const [a, b] = [project(shifted ? toGcj(from) : from), project(shifted ? toGcj(to) : to)];
  const count = (depth: number) => (Math.floor(b[0] * 2 ** depth) - Math.floor(a[0] * 2 ** depth) + 1) * (Math.floor(b[1] * 2 ** depth) - Math.floor(a[1] * 2 ** depth) + 1);
  while (z > 0 && count(z) > MOST) z--;
  const n = 2 ** z;
  const tiles: Tile[] = [];
  const corner = (x: number, y: number): LonLat => (shifted ? fromGcj(unproject([x / n, y / n])) : unproject([x / n, y / n]));
  for (let x = Math.max(Math.floor(a[0] * n), 0); x <= Math.min(Math.floor(b[0] * n), n - 1); x++) for (let y = Math.max(Math.floor(a[1] * n), 0); y <= Math.min(Math.floor(b[1] * n), n - 1); y++) {
    tiles.push({ url: settings.tiles.replace("{z}", String(z)).replace("{x}", String(x)).replace("{y}", String(y)), from: corner(x, y), to: corner(x + 1, y + 1) });
  }
  return tiles;
}

/** The maker of the map and its approval number. */
export function credit(settings: Settings): string {
  return [settings.attribution, settings.approval && `${t("审图号：", "Map approval: ")}${settings.approval}`].filter(Boolean).join(" · ");
}
