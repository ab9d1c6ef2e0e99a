// The left side of the explore page: what is asked, part by part.

import { h, t } from "../lib/dom";
import { period } from "../lib/format";
import { dimColumn } from "../lib/table";
import type { Calc, DatasetView, Dim, FieldView, Json, Query } from "../lib/types";
import { GRAINS, type Where, conditionText, conditions, dimKey, dimLabel, measureLabel, rangeText, rowsQuery, start, withConditions } from "./query";

export interface Rail {
  datasets: Record<string, DatasetView>;
  dataset: DatasetView;
  query: Query;
  go: (query: Query) => void;
  editCalc: (calc: Calc | null) => void;
}

const RANGES = ["7d", "30d", "90d", "12m", "3y"];
const MOST_MEASURES = 8;
const MOST_DIMS = 4;

function options(list: [string, string][], value: string): HTMLOptionElement[] {
  return list.map(([v, text]) => h("option", { value: v, selected: v === value }, text));
}

function select(id: string, label: string, list: [string, string][], value: string, change: (value: string) => void): HTMLElement {
  const all = list.some(([v]) => v === value) ? list : [...list, [value, value] as [string, string]];
  return h("select", { id, "aria-label": label, onchange: (e: Event) => change((e.target as HTMLSelectElement).value) }, options(all, value));
}

function block(title: string, ...children: (HTMLElement | null)[]): HTMLElement {
  return h("section", { class: "rail-block" }, h("h2", null, title), ...children);
}

/** A chosen thing: its name, ways to move it, a way to drop it. */
function pill(text: string, drop: (() => void) | null, extra: (HTMLElement | null)[] = [], title?: string): HTMLElement {
  return h("li", { class: "pill", title }, h("span", null, text), ...extra, drop ? h("button", { type: "button", class: "quiet", "aria-label": t(`去掉 ${text}`, `Remove ${text}`), onclick: drop }, "×") : null);
}

export function renderRail(rail: Rail): HTMLElement[] {
  const { datasets, dataset, query, go } = rail;
  const rows = Boolean(query.rows?.length);
  const names = Object.values(datasets).map((d) => [d.name, d.label] as [string, string]).sort((a, b) => a[1].localeCompare(b[1], "zh"));
  const blocks: HTMLElement[] = [block(t("数据集", "Dataset"), finder(names, dataset, (name) => {
    const next = datasets[name];
    if (next) go(start(next));
  }), h("div", { class: "segments", role: "group", "aria-label": t("显示", "Show") },
    h("button", { type: "button", "aria-pressed": rows ? "false" : "true", onclick: () => rows && go({ ...start(dataset), where: query.where, range: query.range ?? start(dataset).range }) }, t("统计", "Figures")),
    h("button", { type: "button", "aria-pressed": rows ? "true" : "false", onclick: () => !rows && go(rowsQuery(dataset, query)) }, t("明细", "Rows"))))];
  if (!rows) {
    blocks.push(measures(rail), dimensions(rail));
  }
  blocks.push(filters(rail));
  if (dataset.time) blocks.push(time(rail));
  return blocks;
}

/** Hundreds of datasets: a box to type in, with the list behind it. */
function finder(names: [string, string][], dataset: DatasetView, choose: (name: string) => void): HTMLElement {
  const input = h("input", { id: "dataset", list: "datasets", value: dataset.label, "aria-label": t("数据集", "Dataset"), autocomplete: "off", spellcheck: "false" });
  const pick = () => {
    const text = input.value.trim();
    const found = names.find(([name, label]) => label === text || name === text);
    if (found && found[0] !== dataset.name) choose(found[0]);
  };
  input.addEventListener("focus", () => input.select());
  input.addEventListener("change", pick);
  input.addEventListener("input", () => names.some(([, label]) => label === input.value.trim()) && pick());
  input.addEventListener("blur", () => {
    input.value = dataset.label;
  });
  return h("div", null, input, h("datalist", { id: "datasets" }, names.map(([name, label]) => h("option", { value: label }, name))));
}

function measures(rail: Rail): HTMLElement {
  const { dataset, datasets, query, go } = rail;
  const chosen = query.measures ?? [];
  const calcs = query.calc ?? [];
  const left = dataset.measures.filter((m) => !chosen.includes(m.name)).map((m) => [m.name, m.unit ? `${m.label}（${m.unit}）` : m.label] as [string, string]);
  const info = (name: string) => {
    const [owner, short] = name.includes(".") ? (name.split(".") as [string, string]) : [dataset.name, name];
    return h("a", { class: "info", href: `/indicators/${owner}/${short}`, "aria-label": t("口径", "Definition"), title: datasets[owner]?.measures.find((m) => m.name === short)?.definition ?? "" }, "?");
  };
  const list = h("ul", { class: "pills" },
    chosen.map((name) => pill(measureLabel(dataset, datasets, query, name), chosen.length > 1 ? () => go({ ...query, measures: chosen.filter((m) => m !== name) }) : null, [info(name)])),
    calcs.map((calc) => pill(calc.label || calc.name, () => go({ ...query, calc: calcs.filter((c) => c !== calc) }), [h("button", { type: "button", class: "quiet", "aria-label": t("修改算式", "Edit"), onclick: () => rail.editCalc(calc) }, "ƒ")], calc.expr)));
  return block(t("指标", "Measures"), list,
    h("div", { class: "adders" },
      left.length && chosen.length < MOST_MEASURES ? select("add-measure", t("添加指标", "Add a measure"), [["", t("＋ 指标", "+ measure")], ...left], "", (name) => name && go({ ...query, measures: [...chosen, name] })) : null,
      h("button", { type: "button", id: "add-calc", onclick: () => rail.editCalc(null) }, t("ƒ 自定义", "ƒ own"))));
}

function dimensions(rail: Rail): HTMLElement {
  const { dataset, query, go } = rail;
  const by = query.by ?? [];
  const fields = dataset.fields.filter((f) => ["code", "region", "bool"].includes(f.type) && f.sensitivity !== "personal" && f.sensitivity !== "secret");
  const known = new Set(by.map(dimKey));
  const levels = fields.filter((f) => f.type === "region" && f.level !== "district" && f.level !== "city").map((f) => [JSON.stringify({ field: f.name, level: "district" }), `${f.label} → ${t("区", "District")}`] as [string, string]);
  const all: [string, string][] = [...(dataset.time ? GRAINS.map(([g, label]) => [JSON.stringify({ time: g }), t("时间 · ", "Time · ") + label] as [string, string]) : []), ...fields.map((f) => [f.name, f.label] as [string, string]), ...levels].filter(([key]) => !known.has(key));
  const list = h("ul", { class: "pills" }, by.map((dim, i) => pill(dimLabel(dataset, dim), () => go({ ...query, by: by.filter((_, n) => n !== i) }), [
    i > 0 ? h("button", { type: "button", class: "quiet", "aria-label": t("前移", "Move up"), title: t("前移", "Move up"), onclick: () => {
      const next = [...by];
      next.splice(i - 1, 0, ...next.splice(i, 1));
      go({ ...query, by: next });
    } }, "↑") : null,
  ])));
  const columns = by.map(dimColumn);
  const pivot = by.length > 1
    ? h("label", { class: "field" }, h("span", null, t("横排为列（透视）", "Spread over columns")), select("pivot", t("透视", "Pivot"), [["", t("不透视", "none")], ...by.map((d, i) => [columns[i] ?? "", dimLabel(dataset, d)] as [string, string])], query.pivot ?? "", (column) => go({ ...query, pivot: column || undefined, order: undefined })))
    : null;
  return block(t("维度", "Dimensions"), list,
    by.length < MOST_DIMS ? h("div", { class: "adders" }, select("add-dimension", t("添加维度", "Add a dimension"), [["", t("＋ 维度", "+ dimension")], ...all], "", (key) => key && go({ ...query, by: [...by, key.startsWith("{") ? (JSON.parse(key) as Dim) : key] }))) : null,
    pivot);
}

function time(rail: Rail): HTMLElement {
  const { query, go } = rail;
  const range = query.range ?? {};
  const fixed = Boolean(range.from || range.to || range.this || range.previous);
  const value = range.last ?? (fixed ? "fixed" : "");
  const list: [string, string][] = [["", t("全部时间", "all time")], ...RANGES.map((r) => [r, period(r)] as [string, string]), ["this:month", t("本月", "this month")], ["this:year", t("本年", "this year")], ["previous:month", t("上月", "last month")], ["previous:year", t("上年", "last year")], ["fixed", fixed ? rangeText(query) : t("自选日期…", "dates…")]];
  const day = (text: string | undefined) => (text ?? "").slice(0, 10);
  const from = h("input", { type: "date", id: "from", value: day(range.from), "aria-label": t("从", "From") });
  const to = h("input", { type: "date", id: "to", value: day(range.to), "aria-label": t("到（不含）", "To (not included)") });
  const dates = h("div", { class: "dates", hidden: !(range.from || range.to) }, from, h("span", null, "–"), to, h("button", { type: "button", onclick: () => (from.value || to.value) && go({ ...query, range: { ...(from.value ? { from: from.value } : {}), ...(to.value ? { to: to.value } : {}) } }) }, t("应用", "Apply")));
  return block(t("时间", "Time"),
    select("range", t("时间", "Time"), list, value, (chosen) => {
      if (chosen === "fixed") {
        dates.hidden = false;
        from.focus();
        return;
      }
      const [kind, grain] = chosen.split(":");
      go({ ...query, range: !chosen ? undefined : grain ? { [kind ?? "this"]: grain } : { last: chosen }, compare: chosen ? query.compare : undefined });
    }),
    dates,
    query.rows?.length ? null : h("label", { class: "field" }, h("span", null, t("比较", "Compare")), select("compare", t("比较", "Compare"), [["", t("不比较", "none")], ["yoy", t("同比（上年同期）", "year before")], ["mom", t("环比（上一期）", "period before")], ["yoy_workday", t("按工作日同比", "same working day")]], query.compare ?? "", (compare) => {
      const both = range.last || range.this || range.previous || (range.from && range.to);
      go({ ...query, compare: compare || undefined, range: compare && !both ? { last: "12m" } : query.range });
    })));
}

function filters(rail: Rail): HTMLElement {
  const { dataset, query, go } = rail;
  const list = conditions(query.where);
  return block(t("条件", "Filters"),
    h("ul", { class: "pills" }, list.map((one, i) => pill(conditionText(dataset, one), () => go(withConditions(query, list.filter((_, n) => n !== i)))))),
    conditionForm(dataset, query, list, go));
}

/** Adds one condition: field, then its values or an operator and a value. */
function conditionForm(dataset: DatasetView, query: Query, list: Where[], go: (query: Query) => void): HTMLElement {
  const fields = dataset.fields.filter((f) => !["point", "file"].includes(f.type) && f.sensitivity !== "personal" && f.sensitivity !== "secret");
  const box = h("div", { class: "adders" });
  const idle = () => box.replaceChildren(h("select", { id: "add-filter", "aria-label": t("添加条件", "Add a condition"), onchange: (e: Event) => {
    const field = fields.find((f) => f.name === (e.target as HTMLSelectElement).value);
    if (field) edit(field);
  } }, h("option", { value: "" }, t("＋ 条件", "+ condition")), fields.map((f) => h("option", { value: f.name }, f.label))));
  const edit = (field: FieldView) => {
    const add = (test: Json) => go(withConditions(query, [...list, { [field.name]: test }]));
    const cancel = h("button", { type: "button", class: "quiet", onclick: idle }, t("取消", "Cancel"));
    if (field.codes.length || field.type === "bool") {
      const values: [string, string][] = field.type === "bool" ? [["true", t("是", "yes")], ["false", t("否", "no")]] : field.codes;
      const many = field.type !== "bool" && values.length > 2;
      const boxes = h("div", { class: "choices", role: "group", "aria-label": field.label }, values.map(([v, text]) => h("label", { class: "check" }, h("input", { type: many ? "checkbox" : "radio", name: "choice", value: v }), text)));
      const apply = () => {
        const picked = Array.from(boxes.querySelectorAll<HTMLInputElement>("input:checked"), (i) => i.value);
        const [only] = picked;
        if (only === undefined) return;
        if (field.type === "bool") add({ eq: only === "true" });
        else add(picked.length === 1 ? { eq: only } : { in: picked });
      };
      box.replaceChildren(h("b", null, field.label), boxes, h("button", { type: "button", class: "primary", onclick: apply }, t("添加", "Add")), cancel);
    } else {
      const numeric = field.type === "int" || field.type === "decimal";
      const dated = field.type === "date" || field.type === "instant";
      const ops: [string, string][] = numeric || dated ? [["gte", "≥"], ["lt", "<"], ["eq", "="]] : field.search === "zh" ? [["text", t("包含", "contains")]] : field.type === "region" ? [["prefix", t("属于", "in")]] : [["eq", "="], ["prefix", t("开头是", "starts with")]];
      const op = h("select", { "aria-label": t("运算", "Operator") }, options(ops, ""));
      const input = h("input", { type: numeric ? "number" : dated ? "date" : "text", step: "any", "aria-label": field.label });
      const apply = () => input.value && add({ [op.value]: numeric ? Number(input.value) : input.value });
      input.addEventListener("keydown", (e) => e.key === "Enter" && apply());
      box.replaceChildren(h("b", null, field.label), op, input, h("button", { type: "button", class: "primary", onclick: apply }, t("添加", "Add")), cancel);
    }
    box.querySelector<HTMLElement>("input, select")?.focus();
  };
  idle();
  return box;
}
