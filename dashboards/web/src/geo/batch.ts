// Many addresses at once, and a look at those that are not sure.

import { api, h, message, send, t } from "../lib/dom";
import { type Context, type Found, field, note } from "./common";

interface Row { index: number; query: string; best: Found | null; review: boolean; others: Found[] }
interface Batch { results: Row[]; found: number; review: number; not_found: number }

export function batchPanel(c: Context): void {
  const input = h("textarea", { id: "addresses", rows: 8, "aria-label": t("地址，每行一个", "Addresses, one a line") });
  input.value = ["徐汇区漕溪北路88号", "漕溪北路与宜山路路口", "嘉松北路出曹安公路南约300米", "黄浦区南京东路弄堂"].join("\n");
  const file = h("input", { type: "file", id: "csv", accept: ".csv", "aria-label": "CSV" });
  const out = h("div", { class: "block" });
  const show = (batch: Batch) => {
    const tile = (n: number, label: string) => h("div", { class: "tile" }, h("b", null, n.toLocaleString()), h("span", null, label));
    const sure = batch.results.filter((r) => !r.review && r.best);
    const open = batch.results.filter((r) => r.review);
    const decide = (row: Row, choice: string, line: HTMLElement) =>
      api("POST", "/api/v1/geo/reviews", { query: row.query, address: choice })
        .then(() => line.replaceChildren(h("td", null, row.query), h("td", { colspan: 3, class: "good" }, `${t("已确认为", "Decided")}：${choice}`)))
        .catch((error: unknown) => line.append(h("td", { class: "error" }, message(error))));
    const reviewRow = (row: Row) => {
      const candidates = [row.best, ...row.others].filter((m): m is Found => m !== null);
      const choice = h("select", { "aria-label": t("候选", "Candidates") }, candidates.map((m) => h("option", { value: m.address }, `${m.address}（${m.level_zh} ${(m.confidence * 100).toFixed(0)}%）`)));
      const line = h("tr", null);
      const button = c.may.review && candidates.length ? h("button", { type: "button", onclick: () => void decide(row, choice.value, line) }, t("确认", "Decide")) : null;
      line.append(h("td", null, row.query), h("td", null, candidates.length ? choice : h("span", { class: "bad" }, t("没有找到", "not found"))), h("td", null, row.best?.explanation ?? ""), h("td", null, button ?? ""));
      return line;
    };
    out.replaceChildren(
      h("div", { class: "tiles" }, tile(sure.length, t("确定", "sure")), tile(batch.review, t("待复核", "to be reviewed")), tile(batch.not_found, t("没有找到", "not found"))),
      ...(open.length ? [h("h2", null, t("待复核", "To be reviewed")), h("div", { class: "scroll" }, h("table", { class: "grid", id: "reviews" }, h("tbody", null, open.slice(0, 200).map(reviewRow))))] : []),
      ...(sure.length ? [h("h2", null, t("确定的", "Sure")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("tbody", null, sure.slice(0, 200).map((r) => h("tr", null, h("td", null, r.query), h("td", null, r.best?.address ?? ""), h("td", { class: "num" }, `${r.best?.lon.toFixed(6)}, ${r.best?.lat.toFixed(6)}`))))))] : []),
    );
    c.map.setMarkers(batch.results.flatMap((r) => (r.best ? [{ at: [r.best.lon, r.best.lat] as [number, number], size: 4, tone: r.review ? "#d9480f" : undefined }] : [])), true);
  };
  const run = () => {
    const addresses = input.value.split("\n").map((l) => l.trim()).filter(Boolean);
    if (!addresses.length) return;
    api<Batch>("POST", "/api/v1/geo/geocode", { addresses }).then(show).catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  const convert = () => {
    const chosen = file.files?.[0];
    if (!chosen) return;
    out.replaceChildren(note(t("正在处理…", "Working…"), "hint"));
    send("POST", "/api/v1/geo/geocode?crs=sh2000", undefined, { body: chosen, headers: { "content-type": "text/csv" } })
      .then(async (response) => {
        const url = URL.createObjectURL(await response.blob());
        out.replaceChildren(h("p", null, h("a", { href: url, download: `geocoded-${chosen.name}`, class: "button" }, t("下载结果（附上海2000坐标）", "Download"))));
      })
      .catch((error: unknown) => out.replaceChildren(note(message(error), "error")));
  };
  c.root.append(
    h("p", { class: "hint" }, t("每行一个地址；可信度低于 80% 的列出候选，由人确认，确认后下次直接采用。", "One address a line; those below 80 % are listed with candidates for a person to decide.")),
    input,
    h("div", { class: "actions" }, h("button", { type: "button", class: "primary", id: "batch", onclick: run }, t("查找", "Find")), field(t("或 CSV 文件", "or a CSV"), file), h("button", { type: "button", onclick: convert }, t("处理文件", "Process"))),
    out,
  );
}
