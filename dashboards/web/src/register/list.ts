// The list of a register: filters, sort, pages, export, import, the building grid.

import { api, byId, download, h, message, send, t } from "../lib/dom";
import { decimal } from "../lib/format";
import type { DatasetView, FieldView, Json } from "../lib/types";
import { dataset, page, path, REMARKS, stageOf, STATES, text } from "./common";
import type { RecordList, RecordOut } from "./common";

const numeric = (f: FieldView): boolean => f.type === "int" || f.type === "decimal";
const sortable = (f: FieldView): boolean => f.type !== "point" && (f.search !== "zh" || f.name === dataset.title) && f.sensitivity !== "personal" && f.sensitivity !== "secret";

/** A table of records; `onsort` makes the headings buttons. */
export function recordTable(set: DatasetView, list: RecordList, columns: string[], sort = "", onsort?: (name: string) => void): HTMLElement {
  const fields = columns.filter((n) => n !== set.stage_field && n !== REMARKS).map((name) => set.fields.find((f) => f.name === name)).filter((f): f is FieldView => Boolean(f));
  const order = (f: FieldView) => (sort === f.name ? "ascending" : sort === `-${f.name}` ? "descending" : undefined);
  const head = (f: FieldView) => {
    const mark = order(f) === "ascending" ? " ▲" : order(f) === "descending" ? " ▼" : "";
    return onsort && sortable(f) ? h("button", { type: "button", onclick: () => onsort(sort === f.name ? `-${f.name}` : f.name) }, f.label, mark) : f.label;
  };
  return h("div", { class: "scroll" }, h("table", { class: "grid" },
    h("thead", null, h("tr", null, fields.map((f) => h("th", { scope: "col", class: numeric(f) ? "num" : undefined, "aria-sort": order(f) }, head(f))), h("th", { scope: "col" }, set.stage_field ? t("环节", "Stage") : t("登记状态", "Registration")))),
    h("tbody", null, list.records.map((r) => h("tr", null, fields.map((f, i) => {
      const value = text(set, f.name, r.fields[f.name] ?? null);
      return h("td", { class: numeric(f) ? "num" : value.length > 40 ? "long" : undefined }, i === 0 ? h("a", { href: `/records/${set.name}/${encodeURIComponent(r.id)}` }, value || r.id) : h("span", null, value));
    }), h("td", { class: "nowrap" }, mark(set, r)))))));
}

function mark(set: DatasetView, record: RecordOut): HTMLElement {
  const { label, tone } = stageOf(set, record);
  return h("span", { class: `state ${tone}` }, label);
}

export function listPage(): void {
  const form = byId<HTMLFormElement>("filters");
  const open = (f: FieldView) => f.sensitivity !== "personal" && f.sensitivity !== "secret";
  const codes = dataset.fields.filter((f) => f.codes.length && f.level !== "street" && open(f) && (dataset.list.includes(f.name) || f.name === dataset.region || f.name === dataset.stage_field)).slice(0, 5);
  const dates = dataset.fields.filter((f) => (f.type === "date" || f.type === "instant") && f.name === (dataset.time ?? "") && open(f));
  const params = new URLSearchParams(location.search);
  form.append(h("input", { type: "search", name: "q", placeholder: t("名称或编号", "Name or number"), value: params.get("q") ?? "", "aria-label": t("名称或编号", "Name or number") }),
    ...codes.map((f) => h("label", null, f.label, h("select", { name: `f.${f.name}` }, h("option", { value: "" }, t("全部", "all")), f.codes.map(([v, label]) => h("option", { value: v, selected: params.get(`f.${f.name}`) === v }, label))))),
    ...dates.flatMap((f) => [h("label", null, t(`${f.label}自`, `${f.label} from`), h("input", { type: "date", name: `from.${f.name}`, value: params.get(`from.${f.name}`) ?? "" })), h("label", null, t("至", "to"), h("input", { type: "date", name: `to.${f.name}`, value: params.get(`to.${f.name}`) ?? "" }))]),
    h("label", null, t("登记状态", "Registration"), h("select", { name: "state" }, h("option", { value: "" }, STATES.open), h("option", { value: "closed", selected: params.get("state") === "closed" }, STATES.closed), h("option", { value: "all", selected: params.get("state") === "all" }, t("全部", "all")))),
    h("button", { type: "submit", class: "primary" }, t("查找", "Find")));
  const cursors: (string | null)[] = [];
  let cursor: string | null = null;

  const filter = (now: URLSearchParams): Json[] => [
    ...codes.flatMap((f) => (now.get(`f.${f.name}`) ? [{ [f.name]: { eq: now.get(`f.${f.name}`) } }] : [])),
    ...dates.flatMap((f) => [
      ...(now.get(`from.${f.name}`) ? [{ [f.name]: { gte: now.get(`from.${f.name}`) } }] : []),
      ...(now.get(`to.${f.name}`) ? [{ [f.name]: (f.type === "date" ? { lte: now.get(`to.${f.name}`) } : { lt: nextDay(now.get(`to.${f.name}`) ?? "") }) as Json }] : []),
    ]),
  ];
  const run = async () => {
    const now = new URLSearchParams(location.search);
    const where = filter(now);
    const ask = new URLSearchParams({ limit: "50" });
    for (const key of ["q", "state", "sort"]) if (now.get(key)) ask.set(key, now.get(key) ?? "");
    if (where.length) ask.set("where", JSON.stringify({ and: where }));
    if (cursor) ask.set("cursor", cursor);
    const result = byId("result");
    try {
      const list = await api<RecordList>("GET", `${path(dataset.name)}?${ask}`);
      if (!list.records.length) {
        result.replaceChildren(h("p", { class: "empty" }, t("没有符合条件的记录。", "There is no such record.")));
        return;
      }
      // Counts are exact up to ten thousand; beyond, the order of magnitude is enough.
      const count = list.total.exact ? decimal(list.total.value) : list.total.value >= 10_000 ? t("1万+", "10,000+") : `${decimal(list.total.value)}+`;
      const sort = (name: string) => {
        now.set("sort", name);
        go(now);
      };
      result.replaceChildren(recordTable(dataset, list, dataset.list, now.get("sort") ?? "", sort), h("div", { class: "result-foot" }, h("span", { class: "num" }, t(`共 ${count} 条`, `${count} records`)),
        h("nav", { class: "pager" }, h("button", { type: "button", disabled: !cursors.length, onclick: () => {
          cursor = cursors.pop() ?? null;
          void run();
        } }, t("上一页", "Previous")), h("button", { type: "button", disabled: !list.cursor, onclick: () => {
          cursors.push(cursor);
          cursor = list.cursor ?? null;
          void run();
        } }, t("下一页", "Next")))));
    } catch (error) {
      result.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
    }
  };
  const go = (next: URLSearchParams) => {
    history.pushState(null, "", `${location.pathname}${next.size ? `?${next}` : ""}`);
    cursors.length = 0;
    cursor = null;
    void run();
  };
  const submit = (event?: Event) => {
    event?.preventDefault();
    const next = new URLSearchParams();
    const sort = new URLSearchParams(location.search).get("sort");
    for (const [key, value] of new FormData(form)) if (value) next.set(key, String(value));
    if (sort) next.set("sort", sort);
    go(next);
  };
  form.addEventListener("submit", submit);
  form.addEventListener("change", (e) => (e.target as HTMLElement).tagName === "SELECT" && submit());
  window.addEventListener("popstate", () => location.reload());
  tools(() => filter(new URLSearchParams(location.search)));
  if (params.get("view") === "grid" && dataset.grid) void gridPage();
  else void run();
}

const nextDay = (day: string): string => new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);

/** Template, import, export, grid: beside the heading. */
function tools(where: () => Json[]): void {
  const box = byId("record-tools");
  const fail = (error: unknown) => byId("result").prepend(h("p", { class: "error", role: "alert" }, message(error)));
  if (dataset.grid) {
    const grid = new URLSearchParams(location.search).get("view") === "grid";
    box.append(h("a", { class: "button", href: grid ? location.pathname : "?view=grid" }, grid ? t("列表", "List") : t("房态图", "Building grid")));
  }
  if (page.mayImport) {
    box.append(h("a", { class: "button", href: `${path(dataset.name)}/template`, download: "" }, t("下载模板", "Template")), h("a", { class: "button", href: `/import?dataset=${dataset.name}` }, t("批量导入", "Import")));
  }
  if (page.mayExport) {
    box.append(h("button", { type: "button", onclick: () => {
      const rows = dataset.fields.filter((f) => f.type !== "file" && f.name !== REMARKS).map((f) => f.name);
      const conditions = where();
      const query = { dataset: dataset.name, rows, where: conditions.length ? { and: conditions } : {} };
      send("POST", "/api/v1/exports", { query, format: "xlsx" }).then((r) => download(r, `${dataset.name}.xlsx`)).catch(fail);
    } }, t("导出", "Export")));
  }
}

/** 房态图: the units of a building by floor. */
async function gridPage(): Promise<void> {
  const grid = dataset.grid;
  if (!grid) return;
  const result = byId("result");
  const params = new URLSearchParams(location.search);
  byId("filters").hidden = true;
  try {
    let building = params.get("building") ?? "";
    if (!building) {
      const first = await api<RecordList>("GET", `${path(dataset.name)}?limit=1&sort=${grid.building}`);
      building = String(first.records[0]?.fields[grid.building] ?? "");
    }
    const where = JSON.stringify({ [grid.building]: { eq: building } });
    const list = await api<RecordList>("GET", `${path(dataset.name)}?limit=500&where=${encodeURIComponent(where)}`);
    const floors = new Map<number, RecordOut[]>();
    for (const unit of list.records) {
      const floor = Number(unit.fields[grid.floor] ?? 0);
      floors.set(floor, [...(floors.get(floor) ?? []), unit]);
    }
    const status = dataset.fields.find((f) => f.name === grid.status);
    const tones = ["good", "warn", "bad", "flat", "accent"];
    const tone = (value: Json) => tones[Math.max(0, status?.codes.findIndex(([c]) => c === value) ?? 0) % tones.length];
    const name = (unit: RecordOut) => String(unit.fields[grid.unit] ?? unit.id);
    const choose = h("form", { class: "filters" }, h("input", { type: "hidden", name: "view", value: "grid" }), h("label", null, dataset.fields.find((f) => f.name === grid.building)?.label ?? "", h("input", { name: "building", value: building })), h("button", { type: "submit" }, t("查看", "Show")));
    const legend = h("p", { class: "legend" }, (status?.codes ?? []).map(([c, label]) => h("span", { class: `unit-mark ${tone(c)}` }, label)));
    const rows = [...floors].sort((a, b) => b[0] - a[0]).map(([floor, units]) => h("div", { class: "floor", role: "row" }, h("b", { class: "num", role: "rowheader" }, t(`${floor} 层`, `Floor ${floor}`)),
      h("div", { class: "units" }, units.sort((a, b) => name(a).localeCompare(name(b), "zh", { numeric: true })).map((unit) => h("a", { class: `unit ${tone(unit.fields[grid.status] ?? null)}`, href: `/records/${dataset.name}/${encodeURIComponent(unit.id)}`, role: "cell" }, h("b", null, name(unit)), h("span", null, text(dataset, grid.status, unit.fields[grid.status] ?? null)), grid.tags.map((tag) => (unit.fields[tag] ? h("i", null, text(dataset, tag, unit.fields[tag] ?? null)) : null)))))));
    result.replaceChildren(choose, list.records.length ? h("div", { class: "building", role: "table", "aria-label": building }, legend, rows) : h("p", { class: "empty" }, t("没有这幢房屋的记录。", "No records of this building.")));
  } catch (error) {
    result.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  }
}
