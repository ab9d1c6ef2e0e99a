// One record: fields, actions of its stage, files, tasks, children, history.

import { ask, local } from "../lib/ask";
import type { Question } from "../lib/ask";
import { api, byId, english, h, message, send, t } from "../lib/dom";
import { minute } from "../lib/format";
import type { DatasetView, Json } from "../lib/types";
import { dataset, fieldOf, page, path, REMARKS, remarksOf, stageOf, text } from "./common";
import type { Offered, RecordList, RecordOut } from "./common";
import { typed, users } from "./form";
import { recordTable } from "./list";

const ACTIONS: Record<string, string> = { create: t("登记", "created"), change: t("变更", "changed"), close: t("注销", "closed"), restore: t("恢复", "restored"), load: t("导入", "loaded") };

export async function recordPage(id: string): Promise<void> {
  const fail = (error: unknown) => {
    const line = byId("record-error");
    line.textContent = message(error);
    line.hidden = false;
  };
  let record: RecordOut;
  try {
    record = await api<RecordOut>("GET", path(dataset.name, id));
  } catch (error) {
    byId("record-actions").replaceChildren();
    return fail(error);
  }
  const title = dataset.title ? text(dataset, dataset.title, record.fields[dataset.title] ?? null) : "";
  const stage = stageOf(dataset, record);
  byId("record-title").textContent = title || id;
  byId("record-state").replaceChildren(h("span", { class: `state ${stage.tone}` }, stage.label), ` ${id} · ${t("版本", "version")} ${record.version} · ${t("更新于", "updated")} ${minute(record.updated_at)} · ${record.updated_by}`);
  const remarks = remarksOf(record);
  if (Object.keys(remarks).length) {
    byId("record-fields").before(h("div", { class: "note bad", role: "status" }, h("b", null, t("退回意见", "To correct")), h("ul", null, Object.entries(remarks).map(([name, remark]) => h("li", null, `${fieldOf(dataset, name)?.label ?? name}：${remark}`)))));
  }
  byId("record-fields").replaceChildren(...dataset.fields.filter((f) => f.name !== REMARKS && f.name !== dataset.stage_field && record.fields[f.name] !== null && record.fields[f.name] !== undefined && record.fields[f.name] !== "").map((f) => {
    const raw = record.fields[f.name] ?? null;
    const value = text(dataset, f.name, raw);
    const shown = f.refers ? h("a", { href: `/records/${f.refers}/${encodeURIComponent(String(raw))}` }, value) : value;
    return h("div", { class: value.length > 60 ? "wide" : undefined }, h("dt", null, f.label), h("dd", { title: record.masked.includes(f.name) ? t("已脱敏", "masked") : undefined }, shown));
  }));
  buttons(record, fail);
  if (dataset.attachments) void files(id);
  void tasks(id);
  for (const child of page.children ?? []) void childBlock(child, id);
  await history(id).catch(fail);
}

function buttons(record: RecordOut, fail: (error: unknown) => void): void {
  const box = byId("record-actions");
  if (record.state !== "open" || !record.editable) box.querySelector("[data-edit]")?.remove();
  for (const action of record.actions ?? []) {
    box.append(h("button", { type: "button", class: action.names_fields ? "" : "primary", "data-act": action.name, onclick: () => void act(record, action).catch(fail) }, english ? action.en : action.zh));
  }
  if (page.mayWrite) {
    const name = record.state === "open" ? "close" : "restore";
    if (dataset.lifecycle.includes(name)) {
      box.append(h("button", { type: "button", "data-act": name, onclick: () => ask(name === "close" ? t("注销", "Close") : t("恢复", "Restore"), [{ name: "reason", label: t("原因", "Why"), required: true, maxlength: 200 }], async (a) => {
        await api("POST", `${path(dataset.name, record.id)}/actions/${name}`, { reason: a.reason }, { headers: { "if-match": `"${record.version}"` } });
        location.reload();
      }) }, name === "close" ? t("注销", "Close") : t("恢复", "Restore")));
    }
    box.append(h("a", { class: "button", href: `/records/${dataset.name}/new?copy=${encodeURIComponent(record.id)}` }, t("复制", "Copy")));
  }
  box.append(h("a", { class: "button", href: `/records/${dataset.name}/${encodeURIComponent(record.id)}/print` }, t("打印", "Print")));
  if (page.supervises) {
    const about = new URLSearchParams({ order: "1", dataset: dataset.name, record: record.id, title: `${t("督办", "Order")} ${dataset.label} ${record.id}` });
    box.append(h("a", { class: "button", href: `/tasks?${about}` }, t("督办", "Supervise")));
  }
}

async function act(record: RecordOut, action: Offered): Promise<void> {
  const people = action.input.some((n) => fieldOf(dataset, n)?.format === "user") ? await users() : [];
  const questions: Question[] = action.input.flatMap((name) => {
    const field = fieldOf(dataset, name);
    if (!field) return [];
    const options: [string, string][] = field.format === "user" ? people : field.type === "bool" ? [["true", t("是", "yes")], ["false", t("否", "no")]] : field.codes;
    const kind = options.length ? "select" : field.type === "date" ? "date" : field.type === "instant" ? "datetime" : field.type === "int" || field.type === "decimal" ? "number" : (field.max_length ?? 0) > 200 ? "long" : "text";
    const value = record.masked.includes(name) ? "" : String(record.fields[name] ?? "");
    const question: Question = { name: `f.${name}`, label: field.label + (field.unit ? ` (${field.unit})` : ""), kind, options, required: action.require.includes(name) && !record.masked.includes(name), value: field.type === "instant" ? value.slice(0, 16) : value, hint: field.help };
    if (field.max_length) question.maxlength = field.max_length;
    return [question];
  });
  if (action.reason || action.names_fields) questions.push({ name: "reason", label: t("原因", "Why"), kind: "long", required: action.reason, maxlength: 500 });
  const rows = action.names_fields ? dataset.fields.filter((f) => !f.by_action && !dataset.key.includes(f.name)).map((f) => ({ field: f, input: h("input", { "aria-label": f.label, maxlength: 200, placeholder: t("需要更正时填写意见", "remark, where it is wrong") }) })) : [];
  const extra = rows.length ? h("fieldset", { class: "remarks" }, h("legend", null, t("需要更正的字段", "Fields to correct")), rows.map(({ field, input }) => h("label", null, h("span", null, field.label), input))) : undefined;
  const label = english ? action.en : action.zh;
  const run = async (a: Record<string, string>) => {
    const fields: Record<string, Json> = {};
    for (const name of action.input) {
      const field = fieldOf(dataset, name);
      const value = a[`f.${name}`] ?? "";
      if (!field || (record.masked.includes(name) && !value)) continue;
      const read = typed(field, value);
      if (read === undefined) throw new Error(t(`「${field.label}」不是有效的值`, `“${field.label}” is not valid`));
      fields[name] = read;
    }
    const remarks = Object.fromEntries(rows.filter((r) => r.input.value.trim()).map((r) => [r.field.name, r.input.value.trim()]));
    await api("POST", `${path(dataset.name, record.id)}/actions/${action.name}`, { fields, remarks, reason: a.reason || null }, { headers: { "if-match": `"${record.version}"` } });
    // Handed over to another district, the record is no longer ours to see.
    const still = await send("GET", path(dataset.name, record.id)).then(() => true, () => false);
    if (still) location.reload();
    else location.assign(`/records/${dataset.name}`);
  };
  ask(label, questions, run, extra);
}

async function files(id: string): Promise<void> {
  const box = h("section", { class: "block", id: "record-files" }, h("h2", null, t("附件", "Files")));
  byId("record-children").before(box);
  const base = `${path(dataset.name, id)}/files`;
  const show = async () => {
    const { files, may_add } = await api<{ files: { id: number; name: string; kind: string | null; length: number; note: string | null; created_at: number; created_by: string; preview: boolean; search: string; search_note?: string }[]; may_add: boolean }>("GET", base);
    const kinds = dataset.attachments?.kinds ?? [];
    const size = (n: number) => (n > 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MB` : `${Math.max(1, Math.round(n / 1024))} KB`);
    // What of the file is searched: most people only need to know where that is not so.
    const searched = (f: { search: string; search_note?: string }) => f.search === "failed" ? t(`不能检索：${f.search_note ?? ""}`, `Not searchable: ${f.search_note ?? ""}`) : f.search === "text" ? (f.search_note ?? t("可检索", "Searchable")) : "";
    const rows = files.map((f) => h("li", null,
      h("a", { href: `${base}/${f.id}${f.preview ? "?inline=1" : ""}`, target: f.preview ? "_blank" : undefined, rel: "noopener" }, f.name),
      h("span", { class: "hint" }, [kinds.find(([c]) => c === f.kind)?.[1], size(f.length), local(f.created_at), f.created_by, f.note, searched(f)].filter(Boolean).join(" · ")),
      h("a", { class: "quiet button", href: `${base}/${f.id}`, download: f.name }, t("下载", "Download")),
      may_add ? h("button", { type: "button", class: "quiet", onclick: () => ask(t(`删除附件「${f.name}」？`, `Remove “${f.name}”?`), [], async () => {
        await send("DELETE", `${base}/${f.id}`);
        await show();
      }) }, t("删除", "Remove")) : null));
    const error = h("p", { class: "error", role: "alert", hidden: true });
    const input = h("input", { type: "file", "aria-label": t("选择文件", "Choose a file"), accept: ".pdf,.docx,.xlsx,.ofd,.txt,.jpg,.jpeg,.png,.webp,.tif,.tiff" });
    const kind = kinds.length ? h("select", { "aria-label": t("种类", "Kind") }, kinds.map(([c, label]) => h("option", { value: c }, label))) : null;
    const add = h("form", { class: "filters" }, kind, input, h("button", { type: "submit" }, t("上传", "Upload")), error);
    add.addEventListener("submit", (event) => {
      event.preventDefault();
      const file = input.files?.[0];
      if (!file) return;
      const query = new URLSearchParams({ name: file.name });
      if (kind) query.set("kind", kind.value);
      send("POST", `${base}?${query}`, undefined, { body: file, headers: { "content-type": "application/octet-stream" } }).then(show).catch((problem: unknown) => {
        error.textContent = message(problem);
        error.hidden = false;
      });
    });
    box.replaceChildren(h("h2", null, t("附件", "Files")), rows.length ? h("ul", { class: "files" }, rows) : h("p", { class: "hint" }, t("没有附件。", "None.")), may_add ? add : "");
  };
  await show().catch((error: unknown) => box.append(h("p", { class: "error" }, message(error))));
}

async function tasks(id: string): Promise<void> {
  const query = new URLSearchParams({ dataset: dataset.name, record: id, view: page.supervises ? "region" : "mine", limit: "20" });
  const list = await api<{ tasks: { id: string; title: string; due_at: number | null; owner: string }[] }>("GET", `/api/v1/tasks?${query}`).catch(() => null);
  if (!list?.tasks.length) return;
  byId("record-fields").before(h("div", { class: "note", role: "status" }, h("b", null, t("待办", "To do")), h("ul", null, list.tasks.map((x) => h("li", null, h("a", { href: `/tasks?task=${x.id}` }, x.title), x.due_at ? t(`，期限 ${local(x.due_at)}`, `, due ${local(x.due_at)}`) : "", x.owner ? ` · ${x.owner}` : "")))));
}

async function history(id: string): Promise<void> {
  const { history } = await api<{ history: { version: number; action: string; actor: string; reason?: string; at: number; changes: { field: string; before: Json; after: Json }[]; sealed: boolean }[] }>("GET", `${path(dataset.name, id)}/history`);
  const label = (name: string) => ACTIONS[name] ?? dataset.actions.find(([n]) => n === name)?.[1] ?? name;
  byId("record-history").replaceChildren(...history.map((entry) => h("li", null,
    h("time", { class: "num" }, local(entry.at)),
    h("b", null, `${label(entry.action)} · ${entry.actor}${entry.reason ? ` · ${entry.reason}` : ""}`),
    entry.action === "create" || entry.action === "load" ? null : h("div", { class: "diff" }, entry.changes.filter((c) => c.field !== REMARKS).map((c) => h("span", null, `${fieldOf(dataset, c.field)?.label ?? c.field}: `, h("del", null, text(dataset, c.field, c.before) || "–"), " → ", h("ins", null, text(dataset, c.field, c.after) || "–")))),
    h("span", null, entry.sealed ? t("已封存", "sealed") : t("待封存", "not sealed yet")))));
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
