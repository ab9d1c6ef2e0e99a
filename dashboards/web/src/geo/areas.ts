// Areas drawn by hand: corners by clicks on the map or as a list, a name, days; those in force, and
// what lies in one. An area can limit the densities of the next tab.

import { type Collection, type LonLat } from "../lib/citymap";
import { api, h, message, t } from "../lib/dom";
import { type Context, field, note } from "./common";

interface Area { code: string; name: string; ring: LonLat[]; from: string; to: string }
interface Details { drawn_area_km2: number; addresses: number }

/** The areas in force today, with their outer rings. */
export function loadAreas(): Promise<Area[]> {
  return api<Collection>("GET", "/api/v1/geo/regions?level=area").then((all) =>
    all.features.map((f) => {
      const p = f.properties ?? {};
      const polygons = (f.geometry?.type === "Polygon" ? [f.geometry.coordinates] : (f.geometry?.coordinates ?? [])) as LonLat[][][];
      return { code: String(p.code), name: String(p.name), ring: polygons[0]?.[0] ?? [], from: String(p.valid_from ?? ""), to: String(p.valid_to ?? "") };
    }),
  );
}

export function areaPanel(c: Context): void {
  let corners: LonLat[] = [];
  let areas: Area[] = [];
  const name = h("input", { id: "area-name", maxlength: 60, placeholder: t("如 滨江核查范围", "A name") });
  const from = h("input", { type: "date", id: "area-from" });
  const to = h("input", { type: "date", id: "area-to" });
  const list = h("textarea", { id: "area-corners", rows: 5, spellcheck: "false", "aria-label": t("角点，每行 经度,纬度", "Corners, one longitude,latitude a line") });
  const out = h("div", { class: "block", role: "status" });
  const table = h("div", { class: "block" });
  const fail = (error: unknown) => out.replaceChildren(note(message(error), "error"));
  const show = () => {
    const ring = corners.length > 2 && corners[0] ? [...corners, corners[0]] : corners;
    c.map.setShapes(areas.map((a) => ({ ring: a.ring, fill: 0.25 })));
    c.map.setVectors(ring.slice(1).flatMap((p, i) => (ring[i] ? [{ from: ring[i], to: p }] : [])));
    c.map.setMarkers([...corners.map((at) => ({ at, size: 4 })), ...areas.flatMap((a) => (a.ring[0] ? [{ at: middle(a.ring), label: a.name, size: 3, tone: "#c2410c" }] : []))]);
  };
  const write = () => { list.value = corners.map((p) => p.map((v) => v.toFixed(6)).join(",")).join("\n"); show(); };
  const read = () => {
    corners = list.value.split("\n").map((l) => l.split(/[,\s，]+/).filter(Boolean).map(Number)).filter((p): p is LonLat => p.length === 2 && p.every(Number.isFinite));
    show();
  };
  const load = () => loadAreas().then((found) => {
    areas = found;
    const row = (a: Area) => h("tr", null, h("td", null, a.name), h("td", { class: "nowrap" }, a.from || a.to ? `${a.from || "…"} – ${a.to || "…"}` : t("始终", "always")), h("td", null, h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => void look(a) }, t("查看", "View")),
      c.may.area ? h("button", { type: "button", class: "quiet", "data-delete": a.code, onclick: () => void remove(a) }, t("删除", "Delete")) : null)));
    table.replaceChildren(h("h2", null, t("已有区域", "Areas")), areas.length ? h("div", { class: "scroll" }, h("table", { class: "grid", id: "areas" }, h("tbody", null, areas.map(row)))) : note(t("还没有自绘区域。", "No areas yet."), "empty"));
    show();
  });
  const look = (a: Area) => api<Details>("GET", `/api/v1/geo/regions/${a.code}`).then((d) => {
    out.replaceChildren(h("dl", { class: "facts", id: "area-facts" }, h("div", null, h("dt", null, t("区域", "Area")), h("dd", null, a.name)), h("div", null, h("dt", null, t("面积", "Size")), h("dd", { class: "num" }, `${d.drawn_area_km2.toFixed(2)} km²`)), h("div", null, h("dt", null, t("其中的标准地址", "Addresses in it")), h("dd", { class: "num" }, d.addresses.toLocaleString()))));
    c.map.fit(a.ring);
  }).catch(fail);
  const remove = (a: Area) => {
    if (!window.confirm(t(`删除区域「${a.name}」？`, `Delete '${a.name}'?`))) return;
    return api("DELETE", `/api/v1/geo/areas/${a.code}`).then(() => { out.replaceChildren(note(t("已删除", "Deleted"), "hint")); return load(); }).catch(fail);
  };
  const keep = () => {
    if (corners.length < 3 || !corners[0]) return out.replaceChildren(note(t("至少要三个角点。", "Three corners at least."), "error"));
    const geometry = { type: "Polygon", coordinates: [[...corners, corners[0]]] };
    return api("POST", "/api/v1/geo/areas", { name: name.value, geometry, valid_from: from.value || null, valid_to: to.value || null })
      .then(() => { corners = []; name.value = ""; write(); out.replaceChildren(note(t("已保存", "Kept"), "hint")); return load(); })
      .catch(fail);
  };
  list.addEventListener("input", read);
  if (c.may.area) {
    c.map.onclick = (at) => { corners.push(at); write(); };
    c.root.append(
      h("h2", null, t("画一个区域", "Draw an area")),
      h("p", { class: "hint" }, t("在地图上依次点击角点（键盘：方向键移动，回车加点），或在下面逐行填写 经度,纬度。", "Click the corners on the map (keyboard: arrows and Enter), or write them below.")),
      list,
      h("div", { class: "query-row" }, field(t("名称", "Name"), name), field(t("起", "From"), from), field(t("止（不含）", "Until"), to)),
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => { corners.pop(); write(); } }, t("撤销一点", "Undo")),
        h("button", { type: "button", onclick: () => { corners = []; write(); } }, t("清除", "Clear")),
        h("button", { type: "button", class: "primary", id: "area-keep", onclick: () => void keep() }, t("保存", "Keep"))),
    );
  }
  c.root.append(out, table);
  load().catch(fail);
}

function middle(ring: LonLat[]): LonLat {
  const open = ring.slice(1);
  const mean = (axis: 0 | 1) => open.reduce((sum, p) => sum + p[axis], 0) / Math.max(open.length, 1);
  return [mean(0), mean(1)];
}
