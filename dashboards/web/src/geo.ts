// Coordinates and places: conversion of points and files, addresses both ways with review of the unsure,
// control points with sign-off, boundaries, densities. One map beside all of them.

import { CityMap, type Collection, type Grid, type LonLat, type Settings } from "./lib/citymap";
import { api, byId, csrf, download, h, message, pageData, send, t } from "./lib/dom";
import { areaPanel, loadAreas } from "./geo/areas";
import { batchPanel } from "./geo/batch";
import { fitPanel } from "./geo/fits";
import { type Context, type Found, type System, type TransformInfo, field, infoLine, note, option } from "./geo/common";

interface Page {
  may: { fit: boolean; sign: boolean; import: boolean; review: boolean; area: boolean };
  map: Settings;
  user: string;
  places: { dataset: string; field: string; label: string }[];
}

const root = document.getElementById("geo");
if (root) start(root, pageData<Page>());

function start(root: HTMLElement, page: Page): void {
  const map = new CityMap(byId("map"), page.map, t("城市地图", "Map of the city"));
  const context: Context = { root, map, may: page.may, user: page.user, systems: [] };
  const tabs: [string, string, (c: Context) => void][] = [
    ["convert", t("坐标转换", "Convert"), convertPanel],
    ["files", t("文件转换", "Files"), filePanel],
    ["address", t("地址", "Addresses"), addressPanel],
    ["batch", t("批量地址", "Batch"), batchPanel],
    ["fits", t("控制点", "Control points"), fitPanel],
    ["regions", t("区划", "Regions"), regionPanel],
    ["areas", t("自绘区域", "Areas"), areaPanel],
    ["heat", t("热力", "Density"), (c) => heatPanel(c, page.places)],
  ];
  const open = (name: string) => {
    const chosen = tabs.find((x) => x[0] === name) ?? tabs[0];
    if (!chosen) return;
    for (const b of byId("tabs").querySelectorAll("button")) b.setAttribute("aria-selected", String(b.dataset.tab === chosen[0]));
    map.clear();
    map.onclick = null;
    map.home();
    root.replaceChildren();
    chosen[2](context);
    history.replaceState(null, "", `#${chosen[0]}`);
  };
  byId("tabs").replaceChildren(...tabs.map(([name, label]) => h("button", { type: "button", role: "tab", "data-tab": name, "aria-controls": "geo", onclick: () => open(name) }, label)));
  byId("tabs").addEventListener("keydown", (e) => {
    const all = [...byId("tabs").querySelectorAll("button")];
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const next = e.key === "ArrowRight" ? at + 1 : e.key === "ArrowLeft" ? at - 1 : -1;
    if (at >= 0 && next >= 0 && next < all.length) all[next]?.focus();
  });
  Promise.all([api<System[]>("GET", "/api/v1/geo/systems"), api<Collection>("GET", "/api/v1/geo/regions?simplify=60")])
    .then(([systems, regions]) => {
      context.systems = systems;
      map.setBase(regions);
      open(location.hash.slice(1));
    })
    .catch((error: unknown) => root.replaceChildren(h("p", { class: "error" }, message(error))))
    .finally(() => root.removeAttribute("aria-busy"));
}

/** Two lists of systems, and what the chosen ones are worth. */
function systemsRow(c: Context, from: string, to: string): { row: HTMLElement; from: () => string; to: () => string } {
  const list = (value: string, id: string) => h("select", { id }, c.systems.map((s) => option(s.id, s.name_zh, value)), option("epsg:4549", "CGCS2000 / 3° 带 120E (EPSG:4549)", value), option("epsg:4509", "CGCS2000 / 6° 带 117E (EPSG:4509)", value));
  const [a, b] = [list(from, "from"), list(to, "to")];
  const status = h("p", { class: "hint" });
  const show = () => {
    const open = [a.value, b.value].map((id) => c.systems.find((s) => s.id === id)).filter((s) => s && s.status !== "verified");
    status.textContent = open.length ? `${open.map((s) => s?.name_zh).join("、")}：${t("定义未经官方确认，约 10 米；用控制点求解并签发后可用于签名导出", "definition not officially confirmed")}` : "";
  };
  a.addEventListener("change", show); b.addEventListener("change", show); show();
  const swap = h("button", { type: "button", "aria-label": t("互换", "Swap"), onclick: () => { const x = a.value; a.value = b.value; b.value = x; show(); } }, "⇄");
  return { row: h("div", null, h("div", { class: "query-row" }, field(t("从", "From"), a), swap, field(t("到", "To"), b)), status), from: () => a.value, to: () => b.value };
}

function convertPanel(c: Context): void {
  const systems = systemsRow(c, "wgs84", "gcj02");
  const input = h("textarea", { id: "points", rows: 7, spellcheck: "false", "aria-label": t("坐标，每行一个点", "Points, one a line") });
  input.value = "121.473701,31.230416\n121.499718,31.239703\n121.320157,31.194061";
  const out = h("div", { class: "block" });
  const run = () => {
    const points = input.value.split("\n").map((l) => l.trim()).filter(Boolean).map((l) => l.split(/[,\s，]+/).map((v) => v || null));
    const body = { from: systems.from(), to: systems.to(), points };
    Promise.all([
      api<{ points: (LonLat | null)[]; errors: { index: number; reason: string }[]; transform: TransformInfo }>("POST", "/api/v1/geo/transform", body),
      api<{ points: (LonLat | null)[] }>("POST", "/api/v1/geo/transform", { ...body, to: "wgs84" }),
    ])
      .then(([done, here]) => {
        const digits = done.points.some((p) => p && Math.abs(p[0]) > 180) ? 4 : 9;
        const reasons = new Map(done.errors.map((e) => [e.index, e.reason]));
        const rows = done.points.map((p, i) => h("tr", null, h("td", { class: "num" }, i + 1), p ? [h("td", { class: "num" }, p[0].toFixed(digits)), h("td", { class: "num" }, p[1].toFixed(digits))] : [h("td", { colspan: 2, class: "bad" }, reasons.get(i) ?? "")]));
        out.replaceChildren(infoLine(done.transform), h("div", { class: "scroll" }, h("table", { class: "grid", id: "converted" }, h("thead", null, h("tr", null, h("th", null, "#"), h("th", { class: "num" }, "x"), h("th", { class: "num" }, "y"))), h("tbody", null, rows))));
        c.map.setMarkers(here.points.flatMap((p, i) => (p ? [{ at: p, label: String(i + 1) }] : [])), true);
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  c.map.onclick = (at) => {
    if (systems.from() !== "wgs84") return;
    input.value += `\n${at[0].toFixed(6)},${at[1].toFixed(6)}`;
    run();
  };
  c.root.append(systems.row, h("p", { class: "hint" }, t("每行一个点：经度,纬度 或 东,北（米）。点击地图可加点。", "One point a line: longitude, latitude or east, north. Click on the map to add one.")), input, h("div", { class: "actions" }, h("button", { type: "button", class: "primary", id: "convert", onclick: run }, t("转换", "Convert"))), out);
  run();
}

interface Job { state: string; progress: number; message: string; error?: string; result?: { rows: number; converted: number; bad: number; errors: { row: number; reason: string }[]; url: string; name: string; transform: TransformInfo; signature?: { statement: string } } }

function filePanel(c: Context): void {
  const systems = systemsRow(c, "wgs84", "gcj02");
  const file = h("input", { type: "file", id: "file", accept: ".csv,.tsv,.geojson,.json,.parquet", "aria-label": t("文件", "File") });
  const x = h("input", { id: "x", placeholder: "lon / 经度 / x" });
  const y = h("input", { id: "y", placeholder: "lat / 纬度 / y" });
  const signed = h("input", { type: "checkbox", id: "signed" });
  const out = h("div", { class: "block" });
  const types: Record<string, string> = { csv: "text/csv", tsv: "text/tab-separated-values", geojson: "application/geo+json", json: "application/geo+json", parquet: "application/vnd.apache.parquet" };
  const run = async () => {
    const chosen = file.files?.[0];
    if (!chosen) return out.replaceChildren(note(t("请选择文件", "Choose a file"), "error"));
    const type = types[chosen.name.split(".").pop()?.toLowerCase() ?? ""];
    if (!type) return out.replaceChildren(note(t("支持 csv、tsv、geojson、parquet", "csv, tsv, geojson, parquet"), "error"));
    const params = new URLSearchParams({ from: systems.from(), to: systems.to(), background: "true", signed: String(signed.checked) });
    if (x.value) params.set("x", x.value);
    if (y.value) params.set("y", y.value);
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("进度", "Progress") });
    out.replaceChildren(bar);
    try {
      const { url } = (await (await send("POST", `/api/v1/geo/transform?${params}`, undefined, { body: chosen, headers: { "content-type": type } })).json()) as { url: string };
      for (;;) {
        const job = await api<Job>("GET", url);
        bar.value = job.progress;
        if (job.state === "failed" || job.state === "cancelled") throw new Error(job.error ?? job.state);
        if (job.result) return finished(job.result);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } catch (error) { out.replaceChildren(note(message(error), "error")); }
  };
  const finished = (r: NonNullable<Job["result"]>) => {
    const tile = (n: number, label: string) => h("div", { class: "tile" }, h("b", null, n.toLocaleString()), h("span", null, label));
    const save = h("button", { type: "button", class: "primary", onclick: () => void send("GET", r.url).then((response) => download(response, r.name)) }, t("下载结果", "Download"));
    const bad = r.errors.slice(0, 50).map((e) => h("tr", null, h("td", { class: "num" }, e.row), h("td", null, e.reason)));
    out.replaceChildren(h("div", { class: "tiles" }, tile(r.rows, t("行", "rows")), tile(r.converted, t("已转换", "converted")), tile(r.bad, t("未转换", "not converted"))), infoLine(r.transform), h("div", { class: "actions" }, save, r.signature ? h("span", { class: "good" }, t("已签名 (SM2)", "Signed (SM2)")) : null), ...(bad.length ? [h("h2", null, t("未转换的行", "Rows not converted")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("tbody", null, bad)))] : []));
  };
  c.root.append(systems.row, h("div", { class: "query-row" }, field(t("文件", "File"), file)), h("div", { class: "query-row" }, field(t("x 列", "x column"), x), field(t("y 列", "y column"), y), h("label", null, signed, t("签名导出", "Signed"))), h("p", { class: "hint" }, t("不填列名时按常用名称识别。坏行保留原位并注明原因，原坐标列不变。", "Without names the usual ones are tried. Bad rows keep their place with a reason.")), h("div", { class: "actions" }, h("button", { type: "button", class: "primary", id: "start", onclick: () => void run() }, t("开始", "Start"))), out);
}

function addressPanel(c: Context): void {
  const q = h("input", { type: "search", id: "q", "aria-label": t("地址", "Address"), placeholder: t("如 徐汇区漕溪北路88号、嘉松中路出华隆路南约3000米", "An address") });
  const out = h("div", { class: "block" });
  const find = () => {
    if (!q.value.trim()) return;
    const ask = encodeURIComponent(q.value.trim());
    Promise.all([
      api<{ standard: string; matches: Found[]; review: boolean; gazetteer: { addresses: number; source: string } }>("GET", `/api/v1/geo/geocode?q=${ask}`),
      api<{ east: number; north: number; transform: TransformInfo }>("GET", `/api/v1/geo/fused?q=${ask}`).catch(() => null),
    ])
      .then(([found, fused]) => {
        const rows = found.matches.map((m, i) => h("li", { class: "hit" }, h("h2", null, `${i + 1}. ${m.address}`), h("p", { class: "meta" }, h("span", null, m.level_zh), h("span", { class: "num" }, `${t("可信度", "confidence")} ${(m.confidence * 100).toFixed(0)}%`), h("span", { class: "num" }, `${m.lon.toFixed(6)}, ${m.lat.toFixed(6)}`)), h("p", null, m.explanation)));
        out.replaceChildren(h("p", { class: "hint" }, `${t("理解为", "Read as")}：${found.standard} · ${found.gazetteer.source} ${found.gazetteer.addresses.toLocaleString()}`), ...(fused && found.matches[0] ? [h("dl", { class: "facts" }, h("div", null, h("dt", null, t("上海2000（融合地址）", "Shanghai 2000")), h("dd", { class: "num" }, `E ${fused.east.toFixed(3)}  N ${fused.north.toFixed(3)}`)), h("div", null, h("dt", null, t("状态", "Status")), h("dd", null, fused.transform.status === "verified" ? t("已确认", "verified") : fused.transform.status)))] : []), found.matches.length ? h("ol", { class: "hits", id: "matches" }, rows) : note(t("没有找到，请检查路名", "Not found"), "empty"));
        c.map.setMarkers(found.matches.map((m, i) => ({ at: [m.lon, m.lat], label: String(i + 1), size: i ? 4 : 6 })), true);
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  c.map.onclick = (at) => {
    api<{ address: string | null; description: string; distance_m: number | null; lon: number | null; lat: number | null; regions: { name: string }[] }>("GET", `/api/v1/geo/reverse?lon=${at[0]}&lat=${at[1]}`)
      .then((near) => {
        out.replaceChildren(h("dl", { class: "facts column", id: "reverse" }, h("div", null, h("dt", null, t("所点位置", "The point")), h("dd", { class: "num" }, `${at[0].toFixed(6)}, ${at[1].toFixed(6)}`)), h("div", null, h("dt", null, t("最近的地址", "Nearest address")), h("dd", null, near.description || "—")), h("div", null, h("dt", null, t("区划", "Regions")), h("dd", null, near.regions.map((r) => r.name).join("、") || t("市外", "outside")))));
        const there: LonLat | null = near.lon !== null && near.lat !== null ? [near.lon, near.lat] : null;
        c.map.setMarkers([{ at, size: 6, tone: "#d9480f" }, ...(there ? [{ at: there, label: near.address ?? "" }] : [])]);
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  const form = h("form", { class: "search-box", onsubmit: (e: Event) => { e.preventDefault(); find(); } }, q, h("button", { type: "submit", class: "primary" }, t("查找", "Find")));
  c.root.append(form, h("p", { class: "hint" }, t("点击地图得到该点的地址。", "Click on the map for the address of a point.")), out);
}

function regionPanel(c: Context): void {
  const table = h("div", { class: "scroll" });
  const out = h("div", { class: "block" });
  interface Boundaries { in_force: { level_zh: string; valid_from: string | null; version: string; source: string; regions: number }[] }
  const list = () =>
    api<Boundaries>("GET", "/api/v1/geo/boundaries").then((all) => {
      const rows = all.in_force.map((b) => h("tr", null, h("td", { class: "nowrap" }, b.level_zh), h("td", { class: "nowrap" }, b.valid_from ?? t("始终", "always")), h("td", { class: "num" }, b.regions), h("td", null, b.version === "shipped" ? t("随程序", "shipped") : `#${b.version}`), h("td", null, b.source)));
      table.replaceChildren(h("table", { class: "grid" }, h("thead", null, h("tr", null, [t("级别", "Level"), t("生效日", "From"), t("个数", "Count"), t("版本", "Version"), t("来源", "Source")].map((x) => h("th", null, x)))), h("tbody", null, rows)));
    });
  c.root.append(h("h2", null, t("现行与历史边界", "Boundaries by date")), table);
  c.map.onclick = (at) => {
    api<{ regions: { code: string; name: string; level: string }[] }>("GET", `/api/v1/geo/regions?lon=${at[0]}&lat=${at[1]}`)
      .then(async ({ regions }) => {
        const last = regions[regions.length - 1];
        if (!last) return;
        const r = await api<{ name: string; code: string; drawn_area_km2: number; population_2020: number; addresses: number; neighbours: { name: string; border_m: number }[]; predecessors: { name: string }[]; note: string }>("GET", `/api/v1/geo/regions/${last.code}`);
        const item = (name: string, value: string) => (value ? h("div", null, h("dt", null, name), h("dd", null, value)) : null);
        out.replaceChildren(h("dl", { class: "facts" }, item(t("区划", "Region"), `${r.name} ${r.code}`), item(t("图上面积", "Area"), `${r.drawn_area_km2.toFixed(1)} km²`), item(t("常住人口（2020）", "Residents 2020"), r.population_2020 ? r.population_2020.toLocaleString() : ""), item(t("标准地址", "Addresses"), r.addresses.toLocaleString()), item(t("相邻", "Neighbours"), r.neighbours.map((n) => `${n.name} ${(n.border_m / 1000).toFixed(1)} km`).join("、")), item(t("前身", "Before"), r.predecessors.map((p) => p.name).join("、"))));
        c.map.setMarkers([{ at, size: 6 }]);
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  c.root.append(h("p", { class: "hint" }, t("点击地图查看区划。", "Click on the map for a region.")));
  if (c.may.import) {
    const file = h("input", { type: "file", id: "boundaries", accept: ".geojson,.json", "aria-label": "GeoJSON" });
    const level = h("select", null, option("", t("按代码", "by code"), ""), ["district", "street", "neighbourhood_committee", "grid_cell"].map((l, i) => option(l, [t("区", "District"), t("街道（镇）", "Street"), t("居村委", "Committee"), t("网格", "Grid cell")][i] ?? l, "")));
    const day = h("input", { type: "date" });
    const crs = h("select", null, c.systems.map((s) => option(s.id, s.name_zh, "wgs84")));
    const source = h("input", { placeholder: t("如 市民政局 2026 年版", "") });
    const licence = h("input", {});
    const accept = h("input", { type: "checkbox" });
    const take = (dry: boolean) => {
      const chosen = file.files?.[0];
      if (!chosen) return out.replaceChildren(note(t("请选择文件", "Choose a file"), "error"));
      const params = new URLSearchParams({ crs: crs.value, source: source.value, licence: licence.value, dry_run: String(dry), accept_problems: String(accept.checked) });
      if (level.value) params.set("level", level.value);
      if (day.value) params.set("valid_from", day.value);
      out.replaceChildren(note(t("正在检查…", "Checking…"), "hint"));
      void fetch(`/api/v1/geo/regions/import?${params}`, { method: "POST", body: chosen, headers: { "content-type": "application/geo+json", "x-csrf-token": csrf() }, credentials: "same-origin" })
        .then((response) => response.json() as Promise<{ summary?: string[]; detail?: string; version?: number | null; check?: { problems: { message: string; at: LonLat }[] } }>)
        .then((report) => {
          const problems = report.check?.problems ?? [];
          out.replaceChildren(h("h2", null, report.version ? t("已导入", "Imported") : t("检查报告", "Check")), report.summary ? h("ul", { class: "plain" }, report.summary.map((l) => h("li", null, l))) : note(report.detail ?? "", "error"), ...(problems.length ? [h("div", { class: "scroll short" }, h("table", { class: "grid" }, h("tbody", null, problems.slice(0, 60).map((p) => h("tr", null, h("td", null, p.message))))))] : []));
          c.map.setMarkers(problems.slice(0, 200).map((p) => ({ at: p.at, size: 4, tone: "#d9480f" })));
          if (report.version) void list();
        })
        .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
    };
    c.root.append(h("h2", null, t("导入官方边界", "Import boundaries")), h("div", { class: "query-row" }, field("GeoJSON", file), field(t("坐标系", "System"), crs), field(t("级别", "Level"), level)), h("div", { class: "query-row" }, field(t("生效日", "Valid from"), day), field(t("来源", "Source"), source), field(t("许可", "Licence"), licence)), h("div", { class: "actions" }, h("button", { type: "button", onclick: () => take(true) }, t("只检查", "Check")), h("button", { type: "button", class: "primary", onclick: () => take(false) }, t("导入", "Import")), h("label", { class: "inline" }, accept, t("有问题也导入", "in spite of problems"))));
  }
  c.root.append(out);
  list().catch((error: unknown) => table.replaceChildren(note(message(error), "error")));
}

function heatPanel(c: Context, places: Page["places"]): void {
  if (!places.length) { c.root.append(note(t("没有您可以查看明细、又带位置的数据集。", "There is no dataset with places whose rows you may see."), "empty")); return; }
  const dataset = h("select", { id: "dataset" }, places.map((p) => option(p.dataset, p.label, places[0]?.dataset ?? "")));
  const method = h("select", { id: "method" }, option("hex", t("六边形", "Hexagons"), "hex"), option("density", t("核密度", "Kernel density"), ""), option("clusters", t("聚合", "Clusters"), ""));
  const area = h("select", { id: "heat-area" }, option("", t("全市", "Whole city"), ""));
  const size = h("input", { type: "number", min: 100, max: 10000, step: 100, value: 1000 });
  const out = h("div", { class: "block" });
  const run = () => {
    const chosen = places.find((p) => p.dataset === dataset.value);
    if (!chosen) return;
    out.replaceChildren(note(t("正在计算…", "Working…"), "hint"));
    api<{ points: number; truncated: boolean; bins?: { ring: LonLat[]; count: number; at: LonLat }[]; clusters?: { at: LonLat; count: number }[]; grid?: Grid }>("POST", "/api/v1/geo/heat", { method: method.value, size_m: Number(size.value), dataset: chosen.dataset, field: chosen.field, area: area.value || null })
      .then((heat) => {
        c.map.clear();
        const most = heat.bins?.[0]?.count ?? 1;
        c.map.setShapes((heat.bins ?? []).map((b) => ({ ring: b.ring, fill: Math.sqrt(b.count / most) })));
        c.map.setGrid(heat.grid ?? null);
        const largest = heat.clusters?.[0]?.count ?? 1;
        c.map.setMarkers((heat.clusters ?? []).slice(0, 300).map((k) => ({ at: k.at, label: String(k.count), size: 8 + 14 * Math.sqrt(k.count / largest), tone: "#c2410c" })));
        const top = heat.bins ? `${t("最多的一格", "fullest cell")} ${most}` : heat.clusters ? `${heat.clusters.length} ${t("个聚合", "clusters")}` : heat.grid ? `${t("最高", "peak")} ${heat.grid.max.toFixed(0)} /km²` : "";
        out.replaceChildren(h("p", { id: "heat-result" }, `${heat.points.toLocaleString()} ${t("个点", "points")}${heat.truncated ? t("（只看了前十万行）", " (the first 100,000)") : ""}；${top}`));
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  c.root.append(h("div", { class: "query-row" }, field(t("数据", "Data"), dataset), field(t("方法", "Method"), method), field(t("范围", "Within"), area), field(t("尺度（米）", "Size (m)"), size), h("button", { type: "button", class: "primary", id: "heat", onclick: run }, t("绘制", "Draw"))), out);
  // Districts and drawn areas can limit what is drawn.
  Promise.all([api<Collection>("GET", "/api/v1/geo/regions?simplify=500"), loadAreas()])
    .then(([districts, areas]) => area.append(...districts.features.map((f) => option(String(f.properties?.code), String(f.properties?.name), "")), ...areas.map((a) => option(a.code, a.name, ""))))
    .catch((error: unknown) => out.append(note(message(error), "error")));
  run();
}
