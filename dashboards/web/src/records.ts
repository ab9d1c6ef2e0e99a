// Registers: the list, one record with history and children, the form.

import { ApiError, api, byId, h, message, pageData, t } from "./lib/dom";
import { decimal, minute } from "./lib/format";
import type { DatasetView, FieldView, Json } from "./lib/types";

interface RecordOut {
  id: string;
  version: number;
  state: string;
  fields: Record<string, Json>;
  masked: string[];
  created_at: string;
  updated_at: string;
  created_by: string;
  updated_by: string;
}

interface RecordList {
  records: RecordOut[];
  total: { value: number; exact: boolean };
  cursor?: string;
}

interface Page {
  dataset: DatasetView;
  children?: DatasetView[];
  id?: string | null;
  mayWrite?: boolean;
  parent?: { field: string; key: string; dataset: string | null } | null;
}

const page = pageData<Page>();
const dataset = page.dataset;
const STATES: Record<string, string> = { open: t("有效", "open"), closed: t("已注销", "closed") };
const path = (name: string, id?: string) => `/api/v1/records/${encodeURIComponent(name)}${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;

function text(set: DatasetView, name: string, value: Json): string {
  const field = set.fields.find((f) => f.name === name);
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
  if (field?.type === "instant") return minute(String(value));
  if (Array.isArray(value)) return value.map((v) => (typeof v === "number" ? v.toFixed(5) : String(v))).join(", ");
  const coded = field?.codes.find(([c]) => c === value)?.[1];
  if (coded) return coded;
  return typeof value === "number" ? decimal(value, field?.scale ?? 0) + (field?.unit ? ` ${field.unit}` : "") : String(value);
}

function recordTable(set: DatasetView, list: RecordList, columns: string[]): HTMLElement {
  const fields = columns.map((name) => set.fields.find((f) => f.name === name)).filter((f): f is FieldView => Boolean(f));
  const numeric = (f: FieldView) => f.type === "int" || f.type === "decimal";
  return h("div", { class: "scroll" }, h("table", { class: "grid" },
    h("thead", null, h("tr", null, fields.map((f) => h("th", { scope: "col", class: numeric(f) ? "num" : undefined }, f.label)), h("th", { scope: "col" }, t("登记状态", "Registration")))),
    h("tbody", null, list.records.map((r) => h("tr", null, fields.map((f, i) => {
      const value = text(set, f.name, r.fields[f.name] ?? null);
      return h("td", { class: numeric(f) ? "num" : value.length > 40 ? "long" : undefined }, i === 0 ? h("a", { href: `/records/${set.name}/${encodeURIComponent(r.id)}` }, value || r.id) : h("span", null, value));
    }), h("td", null, h("span", { class: `state ${r.state === "open" ? "good" : "flat"}` }, STATES[r.state] ?? r.state)))))));
}

// ---- list ----

function listPage(): void {
  const form = byId<HTMLFormElement>("filters");
  const codes = dataset.fields.filter((f) => f.codes.length && f.level !== "street" && f.sensitivity !== "personal" && (dataset.list.includes(f.name) || f.name === dataset.region)).slice(0, 4);
  const params = new URLSearchParams(location.search);
  form.append(h("input", { type: "search", name: "q", placeholder: t("名称或编号", "Name or number"), value: params.get("q") ?? "", "aria-label": t("名称或编号", "Name or number") }),
    ...codes.map((f) => h("label", null, f.label, h("select", { name: `f.${f.name}` }, h("option", { value: "" }, t("全部", "all")), f.codes.map(([v, label]) => h("option", { value: v, selected: params.get(`f.${f.name}`) === v }, label))))),
    h("label", null, t("登记状态", "Registration"), h("select", { name: "state" }, h("option", { value: "" }, t("全部", "all")), Object.entries(STATES).map(([v, label]) => h("option", { value: v, selected: params.get("state") === v }, label)))),
    h("button", { type: "submit", class: "primary" }, t("查找", "Find")));
  const cursors: (string | null)[] = [];
  let cursor: string | null = null;

  const run = async () => {
    const now = new URLSearchParams(location.search);
    const where = codes.flatMap((f) => (now.get(`f.${f.name}`) ? [{ [f.name]: { eq: now.get(`f.${f.name}`) } }] : []));
    const ask = new URLSearchParams({ limit: "50" });
    if (now.get("q")) ask.set("q", now.get("q") ?? "");
    if (now.get("state")) ask.set("state", now.get("state") ?? "");
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
      result.replaceChildren(recordTable(dataset, list, dataset.list), h("div", { class: "result-foot" }, h("span", { class: "num" }, t(`共 ${count} 条`, `${count} records`)),
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
  const submit = (event?: Event) => {
    event?.preventDefault();
    const next = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value) next.set(key, String(value));
    history.pushState(null, "", `${location.pathname}${next.size ? `?${next}` : ""}`);
    cursors.length = 0;
    cursor = null;
    void run();
  };
  form.addEventListener("submit", submit);
  form.addEventListener("change", (e) => (e.target as HTMLElement).tagName === "SELECT" && submit());
  window.addEventListener("popstate", () => location.reload());
  void run();
}

// ---- one record ----

const ACTIONS: Record<string, string> = { create: t("登记", "created"), change: t("变更", "changed"), close: t("注销", "closed"), restore: t("恢复", "restored"), load: t("导入", "loaded") };

async function recordPage(id: string): Promise<void> {
  const fail = (error: unknown) => {
    const line = byId("record-error");
    line.textContent = message(error);
    line.hidden = false;
  };
  try {
    const record = await api<RecordOut>("GET", path(dataset.name, id));
    const title = dataset.title ? text(dataset, dataset.title, record.fields[dataset.title] ?? null) : "";
    byId("record-title").textContent = title || id;
    byId("record-state").replaceChildren(h("span", { class: `state ${record.state === "open" ? "good" : "flat"}` }, STATES[record.state] ?? record.state), ` ${id} · ${t("版本", "version")} ${record.version} · ${t("更新于", "updated")} ${minute(record.updated_at)} · ${record.updated_by}`);
    byId("record-fields").replaceChildren(...dataset.fields.filter((f) => record.fields[f.name] !== null && record.fields[f.name] !== undefined && record.fields[f.name] !== "").map((f) => {
      const value = text(dataset, f.name, record.fields[f.name] ?? null);
      return h("div", { class: value.length > 60 ? "wide" : undefined }, h("dt", null, f.label), h("dd", { title: record.masked.includes(f.name) ? t("已脱敏", "masked") : undefined }, value));
    }));
    if (page.mayWrite) {
      const name = record.state === "open" ? "close" : "restore";
      const button = h("button", { type: "button", onclick: () => {
        const reason = window.prompt(name === "close" ? t("注销原因", "Why close?") : t("恢复原因", "Why restore?"));
        if (reason === null) return;
        api("POST", `${path(dataset.name, id)}/actions/${name}`, { reason }, { headers: { "if-match": `"${record.version}"` } }).then(() => location.reload()).catch(fail);
      } }, name === "close" ? t("注销", "Close") : t("恢复", "Restore"));
      byId("record-actions").append(button);
    }
  } catch (error) {
    return fail(error);
  }
  for (const child of page.children ?? []) void childBlock(child, id);
  try {
    const { history } = await api<{ history: { version: number; action: string; actor: string; reason?: string; at: number; changes: { field: string; before: Json; after: Json }[]; sealed: boolean }[] }>("GET", `${path(dataset.name, id)}/history`);
    byId("record-history").replaceChildren(...history.map((entry) => h("li", null,
      h("time", { class: "num" }, new Date(entry.at + 8 * 3_600_000).toISOString().slice(0, 16).replace("T", " ")),
      h("b", null, `${ACTIONS[entry.action] ?? entry.action} · ${entry.actor}${entry.reason ? ` · ${entry.reason}` : ""}`),
      entry.action === "create" || entry.action === "load" ? null : h("div", { class: "diff" }, entry.changes.map((c) => h("span", null, `${dataset.fields.find((f) => f.name === c.field)?.label ?? c.field}: `, h("del", null, text(dataset, c.field, c.before) || "–"), " → ", h("ins", null, text(dataset, c.field, c.after) || "–")))),
      h("span", null, entry.sealed ? t("已封存", "sealed") : t("待封存", "not sealed yet")))));
  } catch (error) {
    fail(error);
  }
}

async function childBlock(child: DatasetView, id: string): Promise<void> {
  const box = h("section", { class: "block" }, h("header", { class: "page-head" }, h("h2", null, child.label), page.mayWrite && child.register ? h("a", { class: "button", href: `/records/${child.name}/new?parent=${encodeURIComponent(id)}` }, t("新增", "Add")) : null));
  byId("record-children").append(box);
  try {
    const list = await api<RecordList>("GET", `${path(dataset.name, id)}/${encodeURIComponent(child.name)}?limit=100`);
    box.append(list.records.length ? recordTable(child, list, child.list.filter((n) => n !== child.parent?.[1])) : h("p", { class: "empty" }, t("没有记录。", "None.")));
  } catch (error) {
    box.append(h("p", { class: "error" }, message(error)));
  }
}

// ---- form ----

function formPage(): void {
  const root = byId("form");
  const id = page.id ?? null;
  void (async () => {
    let record: RecordOut | null = null;
    try {
      if (id) record = await api<RecordOut>("GET", path(dataset.name, id));
    } catch (error) {
      root.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
      return;
    }
    build(root, record);
  })();
}

function build(root: HTMLElement, record: RecordOut | null): void {
  const controls = new Map<string, { field: FieldView; input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement; before: string; error: HTMLElement }>();
  const sections = new Map<string, HTMLElement[]>();
  for (const field of dataset.fields) {
    // Numbers of records are given by the register; files have a way of their own.
    if (dataset.key.includes(field.name) || field.type === "file") continue;
    const parent = page.parent?.field === field.name ? page.parent.key : null;
    const value = parent ?? record?.fields[field.name] ?? null;
    const masked = record?.masked.includes(field.name) ?? false;
    const input = control(field, value, masked);
    if (parent !== null && input instanceof HTMLInputElement) input.readOnly = true;
    const error = h("p", { class: "error", id: `e-${field.name}`, hidden: true });
    input.id = `f-${field.name}`;
    input.setAttribute("aria-describedby", error.id);
    controls.set(field.name, { field, input, before: parent !== null ? "" : current(input), error });
    const unit = field.unit ? ` (${field.unit})` : "";
    const long = field.type === "text" && (field.max_length ?? 0) > 200;
    const box = h("div", { class: long ? "field wide" : "field" }, h("label", { for: input.id }, field.label + unit, field.required ? h("span", { class: "req" }, " *") : null), input,
      field.help || masked ? h("p", { class: "hint" }, masked ? t("已脱敏；不修改请留空", "Masked; leave empty to keep it") : field.help) : null, error);
    sections.set(field.section, [...(sections.get(field.section) ?? []), box]);
  }
  followDistrict(controls);
  const alert = h("p", { class: "error", role: "alert", hidden: true });
  const reason = h("input", { name: "reason", placeholder: record ? t("变更原因（记入历史）", "Why (kept in the history)") : t("备注（记入历史）", "Note (kept in the history)"), "aria-label": t("原因", "Reason") });
  const save = h("button", { type: "submit", class: "primary" }, t("保存", "Save"));
  const form = h("form", { novalidate: true },
    [...sections].map(([name, boxes]) => h("fieldset", null, h("legend", null, name || dataset.label), h("div", { class: "form-grid" }, boxes))),
    alert, h("div", { class: "form-foot" }, h("label", { class: "reason" }, t("原因", "Reason"), reason), h("a", { class: "button", href: record ? `/records/${dataset.name}/${encodeURIComponent(record.id)}` : `/records/${dataset.name}` }, t("取消", "Cancel")), save));

  const wrong = (name: string, text: string) => {
    const found = controls.get(name);
    if (!found) return false;
    found.error.textContent = text;
    found.error.hidden = !text;
    if (text) found.input.setAttribute("aria-invalid", "true");
    else found.input.removeAttribute("aria-invalid");
    return true;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    alert.hidden = true;
    const fields: Record<string, Json> = {};
    let bad = false;
    for (const [name, { field, input, before }] of controls) {
      wrong(name, "");
      const now = current(input);
      const untouched = record !== null && now === before;
      if (!untouched && (now !== "" || record)) {
        const value = typed(field, now);
        if (value === undefined) {
          wrong(name, t("不是有效的值", "Not a valid value"));
          bad = true;
        } else fields[name] = value;
      }
      if (field.required && now === "" && !record?.masked.includes(name)) {
        wrong(name, t("必填", "Required"));
        bad = true;
      }
    }
    if (bad) return form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
    if (record && !Object.keys(fields).length) {
      alert.textContent = t("没有任何改动。", "Nothing was changed.");
      alert.hidden = false;
      return;
    }
    save.disabled = true;
    const body = { fields, reason: reason.value.trim() || null };
    const request = record
      ? api<RecordOut>("PATCH", path(dataset.name, record.id), body, { headers: { "if-match": `"${record.version}"` } })
      : api<RecordOut>("POST", path(dataset.name), body);
    request.then((saved) => location.assign(page.parent?.dataset ? `/records/${page.parent.dataset}/${encodeURIComponent(page.parent.key)}` : `/records/${dataset.name}/${encodeURIComponent(saved.id)}`)).catch((error: unknown) => {
      save.disabled = false;
      const fieldErrors = error instanceof ApiError ? (error.problem.errors ?? []) : [];
      const unplaced = fieldErrors.filter((e) => !wrong(e.field, e.message));
      const conflict = error instanceof ApiError && error.status === 409 && error.etag;
      alert.replaceChildren(conflict ? t("别人刚刚改过这条记录。请重新打开再修改。", "Somebody else has just changed this record. Open it again.") : message(error), ...unplaced.map((e) => h("span", null, ` ${e.field}: ${e.message}`)));
      alert.hidden = false;
      form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
    });
  });
  root.replaceChildren(form);
  form.querySelector<HTMLElement>("input:not([readonly]), select, textarea")?.focus();
}

/** Streets are offered of the chosen district only. */
function followDistrict(controls: Map<string, { field: FieldView; input: HTMLElement }>): void {
  const of = (level: string) => [...controls.values()].find((c) => c.field.level === level && c.input instanceof HTMLSelectElement);
  const [district, street] = [of("district"), of("street")];
  if (!district || !street) return;
  const [from, to] = [district.input as HTMLSelectElement, street.input as HTMLSelectElement];
  const fill = () => {
    const chosen = to.value;
    const codes = street.field.codes.filter(([code]) => from.value && code.startsWith(from.value));
    to.replaceChildren(h("option", { value: "" }, from.value ? t("请选择", "choose") : t("请先选择区", "choose a district first")), ...codes.map(([code, label]) => h("option", { value: code, selected: code === chosen }, label)));
  };
  from.addEventListener("change", fill);
  fill();
}

function control(field: FieldView, value: Json, masked: boolean): HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement {
  const text = masked || value === null || value === undefined ? "" : Array.isArray(value) ? value.join(", ") : String(value);
  if (field.codes.length || field.type === "bool") {
    const options: [string, string][] = field.type === "bool" ? [["true", t("是", "yes")], ["false", t("否", "no")]] : field.codes;
    return h("select", { name: field.name, required: field.required }, h("option", { value: "" }, t("请选择", "choose")), options.map(([v, label]) => h("option", { value: v, selected: v === text }, label)));
  }
  if (field.type === "text" && (field.max_length ?? 0) > 200) return h("textarea", { name: field.name, maxlength: field.max_length, value: text });
  const kind = field.type === "int" || field.type === "decimal" ? "number" : field.type === "date" ? "date" : field.type === "instant" ? "datetime-local" : "text";
  const shown = field.type === "instant" ? text.slice(0, 16) : text;
  const placeholder = field.type === "point" ? t("经度, 纬度", "longitude, latitude") : field.type === "region" ? t("区划代码", "region code") : undefined;
  return h("input", { name: field.name, type: kind, value: shown, placeholder, step: field.type === "decimal" ? 1 / 10 ** field.scale : undefined, min: field.min, max: field.max, maxlength: field.max_length, required: field.required, autocomplete: "off" });
}

function current(input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement): string {
  return input.value.trim();
}

/** The JSON of what was typed; `undefined` where it cannot be read. */
function typed(field: FieldView, text: string): Json | undefined {
  if (text === "") return null;
  switch (field.type) {
    case "int":
    case "decimal": {
      const n = Number(text);
      return Number.isFinite(n) ? n : undefined;
    }
    case "bool":
      return text === "true";
    case "point": {
      const parts = text.split(/[,，\s]+/).map(Number);
      return parts.length === 2 && parts.every(Number.isFinite) ? parts : undefined;
    }
    case "instant":
      // The city's time, whatever the browser's zone.
      return /T\d\d:\d\d$/.test(text) ? `${text}:00+08:00` : `${text}+08:00`;
    default:
      return text;
  }
}

if (document.getElementById("records-list")) listPage();
else if (document.getElementById("record-form")) formPage();
else if (page.id) void recordPage(page.id);
