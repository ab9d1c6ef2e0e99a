// Control points: pairs in, residuals out, as a table and as arrows; drafts and their sign-off.

import { api, h, message, svg, t } from "../lib/dom";
import { type Context, field, note, option } from "./common";

interface Report { points: number; check_points: number; rms_m: number; check_rms_m: number | null; scale_ppm: number; rotation_arcsec: number[]; residuals: { name: string; v: number[]; size: number; check: boolean }[]; notes: string[] }
interface Fit { accepted: boolean; refused: string[]; report: Report; plane: [number, number][]; input: { crs: string; kind: string } }
interface Version { id: number; name: string; version: number; state: string; body: Fit; made_by: string; made_at: number; decided_by: string | null; remark: string }

const SAMPLE = `K1,121.30,31.10,-15944.551,-15010.249
K2,121.60,31.10,12676.892,-15013.965
K3,121.60,31.40,12636.078,18248.317
K4,121.30,31.40,-15895.037,18252.076
K5,121.45,31.25,-1631.652,1609.142,check
K6,121.50,31.28,3129.993,4935.841,check`;
const STATES: Record<string, string> = { draft: "待签发", active: "已签发", rejected: "已退回", withdrawn: "已撤回" };

/** Where the points lie, with an arrow for what is left at each, enlarged. */
function plot(fit: Fit): SVGElement {
  const [w, hgt, edge] = [480, 320, 40];
  const xs = fit.plane.map((p) => p[0]);
  const ys = fit.plane.map((p) => p[1]);
  const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((w - 2 * edge) / Math.max(east - west, 1), (hgt - 2 * edge) / Math.max(north - south, 1));
  const at = (p: [number, number]): [number, number] => [w / 2 + (p[0] - (west + east) / 2) * scale, hgt / 2 - (p[1] - (south + north) / 2) * scale];
  const largest = Math.max(...fit.report.residuals.map((r) => r.size), 1e-4);
  const arrow = 36 / largest;
  const parts = fit.plane.flatMap((p, i) => {
    const r = fit.report.residuals[i];
    if (!r) return [];
    const [x, y] = at(p);
    const [dx, dy] = [(r.v[0] ?? 0) * arrow, -(r.v[1] ?? 0) * arrow];
    const label = svg("text", { x: x + 7, y: y - 7, class: "plot-label" });
    label.textContent = r.name;
    return [svg("line", { x1: x, y1: y, x2: x + dx, y2: y + dy, class: "plot-arrow" }), svg("circle", { cx: x, cy: y, r: 4, class: r.check ? "plot-check" : "plot-point" }), label];
  });
  const key = svg("text", { x: 12, y: hgt - 12, class: "plot-label" });
  key.textContent = `${t("最长的箭头", "longest arrow")} ${(largest * 1000).toFixed(1)} mm`;
  return svg("svg", { viewBox: `0 0 ${w} ${hgt}`, class: "fit-plot", role: "img", "aria-label": t("残差图", "Residuals") }, ...parts, key);
}

function show(fit: Fit): HTMLElement {
  const r = fit.report;
  const item = (name: string, value: string) => h("div", null, h("dt", null, name), h("dd", { class: "num" }, value));
  const rows = r.residuals.map((p) => h("tr", null, h("td", null, p.name, p.check ? ` (${t("检核", "check")})` : ""), p.v.slice(0, 3).map((v) => h("td", { class: "num" }, (v * 1000).toFixed(1))), h("td", { class: "num" }, (p.size * 1000).toFixed(1))));
  return h(
    "div",
    { class: "stack", id: "fit-report" },
    h("p", null, h("span", { class: fit.accepted ? "state good" : "state bad" }, fit.accepted ? t("合格", "accepted") : t("不合格", "refused")), ` ${fit.refused.concat(r.notes).join("；")}`),
    h("dl", { class: "facts" }, item(t("点数（检核）", "Points (check)"), `${r.points} (${r.check_points})`), item(t("中误差", "rms"), `${(r.rms_m * 1000).toFixed(1)} mm`), item(t("检核中误差", "check rms"), r.check_rms_m === null ? "—" : `${(r.check_rms_m * 1000).toFixed(1)} mm`), item(t("尺度", "scale"), `${r.scale_ppm.toFixed(3)} ppm`), item(t("旋转", "rotation"), r.rotation_arcsec.map((a) => `${a.toFixed(3)}″`).join(" "))),
    plot(fit) as unknown as HTMLElement,
    h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, [t("点", "Point"), t("东 mm", "E mm"), t("北 mm", "N mm"), ...(r.residuals[0]?.v.length === 3 ? ["Z mm"] : []), t("长 mm", "mm")].map((x, i) => h("th", { class: i ? "num" : "" }, x)))), h("tbody", null, rows))),
  );
}

export function fitPanel(c: Context): void {
  const crs = h("select", { id: "crs" }, option("sh2000", "上海2000坐标系", "sh2000"), option("shcity", "上海城市坐标系（旧）", ""));
  const kind = h("select", { id: "kind" }, option("helmert", t("四参数", "4 parameters"), "helmert"), option("bursa-wolf", t("七参数", "7 parameters"), ""));
  const source = h("input", { placeholder: t("控制点来源", "Source of the points") });
  const input = h("textarea", { id: "pairs", rows: 7, spellcheck: "false", "aria-label": t("控制点", "Control points") });
  input.value = SAMPLE;
  const out = h("div", { class: "block" });
  const list = h("div", { class: "block" });
  const body = () => ({
    crs: crs.value,
    kind: kind.value,
    source: source.value,
    pairs: input.value.split("\n").map((l) => l.trim()).filter(Boolean).map((line) => {
      const cells = line.split(/[,，\t]+/).map((x) => x.trim());
      const n = kind.value === "helmert" ? 2 : 3;
      const numbers = cells.slice(1, 1 + 2 * n).map(Number);
      return { name: cells[0] ?? "", from: numbers.slice(0, n), to: numbers.slice(n), check: cells[1 + 2 * n] === "check" || cells[1 + 2 * n] === "检核" };
    }),
  });
  const fail = (error: unknown) => out.replaceChildren(note(message(error), "error"));
  const load = () =>
    api<Version[]>("GET", "/api/v1/geo/fits").then((versions) => {
      const decide = (v: Version, decision: string) => api("POST", `/api/v1/geo/fits/${v.id}/decision`, { decision }).then(() => load()).catch(fail);
      const row = (v: Version) => {
        const own = v.made_by === c.user;
        const buttons = c.may.sign && (v.state === "draft" || v.state === "active") ? [v.state === "draft" ? h("button", { type: "button", class: "primary", disabled: own || !v.body.accepted, title: own ? t("须由另一人签发", "needs a second person") : "", onclick: () => void decide(v, "sign") }, t("签发", "Sign")) : null, h("button", { type: "button", onclick: () => void decide(v, "drop") }, v.state === "draft" ? t("退回", "Reject") : t("撤回", "Withdraw"))] : [];
        return h("tr", null, h("td", { class: "nowrap" }, `${v.name} v${v.version}`), h("td", null, h("span", { class: v.state === "active" ? "state good" : "state" }, STATES[v.state] ?? v.state)), h("td", { class: "num" }, `${(v.body.report.rms_m * 1000).toFixed(1)} mm`), h("td", null, `${v.made_by} → ${v.decided_by ?? "—"}`), h("td", null, h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => out.replaceChildren(show(v.body)) }, t("查看", "View")), buttons)));
      };
      list.replaceChildren(h("h2", null, t("版本", "Versions")), versions.length ? h("div", { class: "scroll" }, h("table", { class: "grid", id: "fits" }, h("tbody", null, versions.map(row)))) : note(t("还没有求解结果；现用随程序的定义（未经官方确认）。", "No fits yet; the shipped definitions are in force."), "empty"));
    });
  const solve = (keep: boolean) =>
    keep
      ? api<Version>("POST", "/api/v1/geo/fits", body()).then((v) => { out.replaceChildren(show(v.body)); return load(); }).catch(fail)
      : api<Fit>("POST", "/api/v1/geo/fits?dry_run=true", body()).then((fit) => out.replaceChildren(show(fit))).catch(fail);
  c.root.append(
    h("div", { class: "query-row" }, field(t("坐标系", "System"), crs), field(t("方法", "Method"), kind), field(t("来源", "Source"), source)),
    h("p", { class: "hint" }, t("每行：点名,经度,纬度,东,北（七参数：经度,纬度,大地高,东,北,高），末尾加 check 为检核点。测绘资料中 X 为北、Y 为东，请先对调。", "One a line: name, longitude, latitude, east, north; check at the end for check points.")),
    input,
    h("div", { class: "actions" }, h("button", { type: "button", id: "try", onclick: () => void solve(false) }, t("试算", "Try")), c.may.fit ? h("button", { type: "button", class: "primary", id: "keep", onclick: () => void solve(true) }, t("保存待签发", "Keep for sign-off")) : null),
    out,
    list,
  );
  load().catch(fail);
}
