// The form of a register: sections, help, drafts, copies, errors at fields, conflicts.

import { local } from "../lib/ask";
import { ApiError, api, byId, h, message, send, t } from "../lib/dom";
import type { FieldView, Json } from "../lib/types";
import { dataset, meets, page, path, REMARKS, remarksOf, text } from "./common";
import type { RecordList, RecordOut } from "./common";

type Input = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
interface Control {
  field: FieldView;
  input: Input;
  box: HTMLElement;
  before: string;
  error: HTMLElement;
}

/** Colleagues, for fields that name one. */
export async function users(): Promise<[string, string][]> {
  const { people } = await api<{ people: { username: string; name: string }[] }>("GET", "/api/v1/tasks/people");
  return people.map((p) => [p.username, p.name]);
}

export async function formPage(): Promise<void> {
  const root = byId("form");
  const id = page.id ?? null;
  const params = new URLSearchParams(location.search);
  try {
    const people = dataset.fields.some((f) => f.format === "user" && !f.by_action) ? await users() : [];
    const record = id ? await api<RecordOut>("GET", path(dataset.name, id)) : null;
    let copied: RecordOut | null = null;
    const copy = params.get("copy");
    if (!id && copy === "last") copied = (await api<RecordList>("GET", `${path(dataset.name)}?limit=1&sort=-created_at`)).records[0] ?? null;
    else if (!id && copy) copied = await api<RecordOut>("GET", path(dataset.name, copy));
    build(root, record, copied, people);
  } catch (error) {
    root.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  }
}

function first(field: FieldView): Json {
  const now = new Date(Date.now() + 8 * 3_600_000).toISOString();
  if (field.default === "today") return now.slice(0, 10);
  if (field.default === "now") return now.slice(0, 16);
  if (field.default === "user") return page.user ?? null;
  return field.default ?? null;
}

function build(root: HTMLElement, record: RecordOut | null, copied: RecordOut | null, people: [string, string][]): void {
  const controls = new Map<string, Control>();
  const sections = new Map<string, HTMLElement[]>();
  const remarks = remarksOf(record);
  for (const field of dataset.fields) {
    // Numbers of records are given by the register; actions set what is theirs.
    if (dataset.key.includes(field.name) || field.type === "file" || field.by_action || field.name === "record_state" || field.name === REMARKS) continue;
    const parent = page.parent?.field === field.name ? page.parent.key : null;
    const copy = copied && !copied.masked.includes(field.name) ? copied.fields[field.name] : null;
    const value = parent ?? record?.fields[field.name] ?? copy ?? (record ? null : first(field));
    const masked = record?.masked.includes(field.name) ?? false;
    const input = control(field, value ?? null, masked, people);
    if (parent !== null && input instanceof HTMLInputElement) input.readOnly = true;
    const error = h("p", { class: "error", id: `e-${field.name}`, hidden: true });
    input.id = `f-${field.name}`;
    input.setAttribute("aria-describedby", error.id);
    const unit = field.unit ? ` (${field.unit})` : "";
    const long = field.type === "text" && (field.max_length ?? 0) > 200;
    const remark = remarks[field.name];
    const box = h("div", { class: long ? "field wide" : "field" }, h("label", { for: input.id }, field.label + unit, field.required ? h("span", { class: "req" }, " *") : null), input,
      field.help || masked ? h("p", { class: "hint" }, masked ? t("已脱敏；不修改请留空", "Masked; leave empty to keep it") : field.help) : null, remark ? h("p", { class: "error remark" }, t(`退回意见：${remark}`, `To correct: ${remark}`)) : null, error);
    controls.set(field.name, { field, input, box, before: record ? current(input) : "", error });
    sections.set(field.section, [...(sections.get(field.section) ?? []), box]);
  }
  followDistrict(controls);
  const values = (name: string): Json => {
    const found = controls.get(name);
    return found ? (current(found.input) || null) : (record?.fields[name] ?? null);
  };
  const conditions = () => {
    for (const { field, box } of controls.values()) {
      box.hidden = !meets(field.shown_when, values);
      const needed = field.required || (Object.keys(field.required_when ?? {}).length > 0 && meets(field.required_when, values));
      const label = box.querySelector("label");
      const star = label?.querySelector(".req");
      if (needed && !star) label?.append(h("span", { class: "req" }, " *"));
      if (!needed) star?.remove();
    }
  };
  const alert = h("div", { class: "error", role: "alert", hidden: true });
  const status = h("span", { class: "hint", role: "status" });
  const reason = h("input", { name: "reason", maxlength: 200, placeholder: record ? t("变更原因（记入历史）", "Why (kept in the history)") : t("备注（记入历史）", "Note (kept in the history)"), "aria-label": t("原因", "Reason") });
  const save = h("button", { type: "submit", class: "primary" }, t("保存", "Save"));
  const last = record || page.parent ? null : h("a", { class: "button", href: "?copy=last" }, t("复制上一条", "Copy the last record"));
  const form = h("form", { novalidate: true },
    [...sections].map(([name, boxes]) => h("fieldset", null, h("legend", null, name || dataset.label), h("div", { class: "form-grid" }, boxes))),
    alert, h("div", { class: "form-foot" }, h("label", { class: "reason" }, t("原因", "Reason"), reason), status, last, h("a", { class: "button", href: back(record) }, t("取消", "Cancel")), save));

  const drafts = draft(record, controls, status, conditions);
  const wrong = (name: string, message: string) => {
    const found = controls.get(name);
    if (!found) return false;
    found.error.textContent = message;
    found.error.hidden = !message;
    if (message) {
      found.box.hidden = false;
      found.input.setAttribute("aria-invalid", "true");
    } else found.input.removeAttribute("aria-invalid");
    return true;
  };
  form.addEventListener("input", () => {
    conditions();
    drafts.changed();
  });

  let version = record?.version ?? 0;
  const submit = (fields: Record<string, Json>) => {
    save.disabled = true;
    const body = { fields, reason: reason.value.trim() || null };
    const request = record
      ? api<RecordOut>("PATCH", path(dataset.name, record.id), body, { headers: { "if-match": `"${version}"` } })
      : api<RecordOut>("POST", path(dataset.name), body);
    request.then(async (saved) => {
      await drafts.done();
      location.assign(page.parent?.dataset ? `/records/${page.parent.dataset}/${encodeURIComponent(page.parent.key)}` : `/records/${dataset.name}/${encodeURIComponent(saved.id)}`);
    }).catch((error: unknown) => {
      save.disabled = false;
      if (error instanceof ApiError && error.status === 409 && error.etag && record) return void conflict(record, fields, controls, alert, (v) => (version = v), (merged) => submit(merged));
      const fieldErrors = error instanceof ApiError ? (error.problem.errors ?? []) : [];
      const unplaced = fieldErrors.filter((e) => !wrong(e.field, e.message));
      alert.replaceChildren(message(error), ...unplaced.map((e) => h("span", null, ` ${e.field}: ${e.message}`)));
      alert.hidden = false;
      form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
    });
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
    submit(fields);
  });
  conditions();
  root.replaceChildren(form);
  form.querySelector<HTMLElement>("input:not([readonly]), select, textarea")?.focus();
  void drafts.offer(root);
}

const back = (record: RecordOut | null): string => (record ? `/records/${dataset.name}/${encodeURIComponent(record.id)}` : page.parent?.dataset ? `/records/${page.parent.dataset}/${encodeURIComponent(page.parent.key)}` : `/records/${dataset.name}`);

/** Keeps on the server what is typed, and offers it again. */
function draft(record: RecordOut | null, controls: Map<string, Control>, status: HTMLElement, refresh: () => void) {
  const key = record?.id ?? (page.parent ? `new:${page.parent.key}` : "new");
  const address = `/api/v1/drafts/${encodeURIComponent(dataset.name)}/${encodeURIComponent(key)}`;
  let timer = 0;
  let over = false;
  const store = async () => {
    timer = 0;
    if (over) return;
    const fields: Record<string, string> = {};
    for (const [name, { input, before }] of controls) if (current(input) !== before) fields[name] = current(input);
    try {
      await send("PUT", address, { fields, version: record?.version ?? null });
      status.textContent = t("草稿已保存", "Draft kept");
    } catch {
      // The network is weak: what was typed is still on the page, and the next change tries again.
      status.textContent = t("草稿未保存，恢复网络后重试", "Draft not kept, trying again");
      timer = window.setTimeout(() => void store(), 5_000);
    }
  };
  window.addEventListener("online", () => void store());
  window.addEventListener("pagehide", () => timer && void store());
  return {
    changed: () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void store(), 800);
    },
    done: async () => {
      over = true;
      window.clearTimeout(timer);
      await send("DELETE", address).catch(() => undefined);
    },
    offer: async (root: HTMLElement) => {
      const kept = await api<{ fields: Record<string, string>; version: number | null; saved_at: number } | null>("GET", address).catch(() => null);
      if (!kept || !Object.keys(kept.fields).length) return;
      const note = h("div", { class: "note", role: "status" }, t(`有 ${local(kept.saved_at)} 未提交的草稿。`, `There is a draft of ${local(kept.saved_at)}.`),
        kept.version !== null && record && kept.version !== record.version ? t("此后记录已有变更，请核对。", " The record has changed since.") : "", " ",
        h("button", { type: "button", class: "primary", onclick: () => {
          for (const [name, value] of Object.entries(kept.fields)) {
            const found = controls.get(name);
            if (!found) continue;
            found.input.value = value;
            found.input.dispatchEvent(new Event("change", { bubbles: true }));
          }
          // Streets appear with their district.
          for (const [name, value] of Object.entries(kept.fields)) {
            const found = controls.get(name);
            if (found) found.input.value = value;
          }
          refresh();
          note.remove();
        } }, t("恢复草稿", "Take it up")), " ",
        h("button", { type: "button", onclick: () => {
          void send("DELETE", address);
          note.remove();
        } }, t("丢弃", "Discard")));
      root.prepend(note);
    },
  };
}

/** Somebody else changed the record: both versions side by side, the user chooses for each field. */
async function conflict(record: RecordOut, mine: Record<string, Json>, controls: Map<string, Control>, alert: HTMLElement, rebase: (version: number) => void, submit: (fields: Record<string, Json>) => void): Promise<void> {
  try {
    const theirs = await api<RecordOut>("GET", path(dataset.name, record.id));
    const same = (a: Json, b: Json) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
    const names = dataset.fields.map((f) => f.name).filter((n) => n in mine || !same(theirs.fields[n] ?? null, record.fields[n] ?? null));
    const picks = new Map<string, HTMLInputElement>();
    const rows = names.map((name) => {
      const field = dataset.fields.find((f) => f.name === name);
      const both = name in mine && !same(theirs.fields[name] ?? null, record.fields[name] ?? null) && !same(theirs.fields[name] ?? null, mine[name] ?? null);
      const own = h("input", { type: "radio", name: `pick-${name}`, checked: name in mine });
      const other = h("input", { type: "radio", name: `pick-${name}`, checked: !(name in mine) });
      if (name in mine) picks.set(name, own);
      return h("tr", { class: both ? "clash" : undefined }, h("th", { scope: "row" }, field?.label ?? name), h("td", null, text(dataset, name, record.fields[name] ?? null) || "–"),
        h("td", null, h("label", null, other, " ", text(dataset, name, theirs.fields[name] ?? null) || "–")), h("td", null, name in mine ? h("label", null, own, " ", text(dataset, name, mine[name] ?? null) || "–") : ""));
    });
    alert.replaceChildren(h("p", null, t(`${theirs.updated_by} 刚刚改过这条记录（版本 ${theirs.version}）。请逐项选择保留哪一个，再保存。`, `${theirs.updated_by} has just changed this record (version ${theirs.version}). Choose for each field and save.`)),
      h("div", { class: "scroll" }, h("table", { class: "grid merge" }, h("thead", null, h("tr", null, h("th", null, t("字段", "Field")), h("th", null, t("原来", "Before")), h("th", null, t("对方的", "Theirs")), h("th", null, t("我的", "Mine")))), h("tbody", null, rows))),
      h("button", { type: "button", class: "primary", onclick: () => {
        const merged: Record<string, Json> = {};
        for (const [name, pick] of picks) if (pick.checked) merged[name] = mine[name] ?? null;
        rebase(theirs.version);
        alert.hidden = true;
        if (Object.keys(merged).length) submit(merged);
        else location.assign(back(record));
      } }, t("合并保存", "Merge and save")));
    alert.hidden = false;
    alert.scrollIntoView({ block: "nearest" });
    void controls;
  } catch (error) {
    alert.textContent = message(error);
    alert.hidden = false;
  }
}

/** Streets are offered of the chosen district only. */
function followDistrict(controls: Map<string, Control>): void {
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

function control(field: FieldView, value: Json, masked: boolean, people: [string, string][]): Input {
  const text = masked || value === null || value === undefined ? "" : Array.isArray(value) ? value.join(", ") : String(value);
  const options: [string, string][] = field.type === "bool" ? [["true", t("是", "yes")], ["false", t("否", "no")]] : field.format === "user" && people.length ? people : field.codes;
  if (options.length) return h("select", { name: field.name, required: field.required }, h("option", { value: "" }, t("请选择", "choose")), options.map(([v, label]) => h("option", { value: v, selected: v === text }, label)));
  if (field.type === "text" && (field.max_length ?? 0) > 200) return h("textarea", { name: field.name, maxlength: field.max_length, value: text });
  const kind = field.type === "int" || field.type === "decimal" ? "number" : field.type === "date" ? "date" : field.type === "instant" ? "datetime-local" : field.format === "phone" ? "tel" : field.format === "email" ? "email" : "text";
  const shown = field.type === "instant" ? text.slice(0, 16) : text;
  const placeholder = field.type === "point" ? t("经度, 纬度", "longitude, latitude") : field.type === "region" ? t("区划代码", "region code") : undefined;
  return h("input", { name: field.name, type: kind, value: shown, placeholder, step: field.type === "decimal" ? 1 / 10 ** field.scale : undefined, min: field.min, max: field.max, maxlength: field.max_length, required: field.required, autocomplete: "off" });
}

function current(input: Input): string {
  return input.value.trim();
}

/** The JSON of what was typed; `undefined` where it cannot be read. */
export function typed(field: FieldView, text: string): Json | undefined {
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
