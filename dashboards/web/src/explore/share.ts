// Keeping, sharing, copying and exporting what the explore page shows; own figures.

import { api, h, message, send, t } from "../lib/dom";
import { decimal } from "../lib/format";
import type { Calc, DatasetView, Query } from "../lib/types";
import { type State, address } from "./query";

interface View {
  id: number;
  name: string;
  note: string;
  owner: string;
  own: boolean;
  query: Query;
  chart: string | null;
  roles: string[];
}

function dialog(title: string, ...body: (HTMLElement | null)[]): HTMLDialogElement {
  const box = h("dialog", { class: "sheet", "aria-label": title }, h("header", null, h("h2", null, title), h("button", { type: "button", class: "quiet", "aria-label": t("关闭", "Close"), onclick: () => box.close() }, "×")), ...body);
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

function field(label: string, control: HTMLElement, hint = ""): HTMLElement {
  return h("label", { class: "field" }, h("span", null, label), control, hint ? h("span", { class: "hint" }, hint) : null);
}

// ---- own figures ----

export function calcDialog(dataset: DatasetView, query: Query, calc: Calc | null, done: (calc: Calc) => void): void {
  const others = (query.calc ?? []).filter((c) => c !== calc);
  let free = 1;
  while (others.some((c) => c.name === `calc${free}`)) free += 1;
  const label = h("input", { id: "calc-label", value: calc?.label ?? "", maxlength: "60", placeholder: t("例如：万人警情", "a name") });
  const expr = h("input", { id: "calc-expr", value: calc?.expr ?? "", maxlength: "300", spellcheck: "false", autocomplete: "off", class: "mono", placeholder: "count / residents * 10000" });
  const unit = h("input", { id: "calc-unit", value: calc?.unit ?? "", maxlength: "20", size: "6" });
  const digits = h("input", { id: "calc-digits", type: "number", min: "0", max: "6", value: String(calc?.digits ?? 2) });
  const say = h("p", { class: "hint", role: "status" }, t("可用 + − × ÷ 和括号。按显示的数值计算：被隐去的、除以零的结果为空。", "+ - * / and parentheses, over the figures shown: hidden ones and divisions by zero give nothing."));
  const insert = (name: string) => {
    const at = expr.selectionStart ?? expr.value.length;
    expr.value = `${expr.value.slice(0, at)}${name}${expr.value.slice(expr.selectionEnd ?? at)}`;
    expr.focus();
    expr.setSelectionRange(at + name.length, at + name.length);
  };
  const known = [...(query.measures ?? []), ...others.map((c) => c.name)];
  const more = dataset.measures.map((m) => m.name).filter((m) => !known.includes(m));
  const name = (m: string) => others.find((c) => c.name === m)?.label || (dataset.measures.find((x) => x.name === m)?.label ?? m);
  const buttons = h("div", { class: "chips" }, [...known, ...more].slice(0, 40).map((m) => h("button", { type: "button", class: known.includes(m) ? undefined : "quiet", title: m, onclick: () => insert(m) }, name(m))));
  const apply = async () => {
    const made: Calc = { name: calc?.name ?? `calc${free}`, expr: expr.value.trim(), digits: Number(digits.value) || 0, ...(label.value.trim() ? { label: label.value.trim() } : {}), ...(unit.value.trim() ? { unit: unit.value.trim() } : {}) };
    const names = made.expr.match(/[a-z_][a-z0-9_.]*/gi) ?? [];
    // Measures that it needs are asked for with it.
    const measures = [...(query.measures ?? []), ...names.filter((n) => !known.includes(n) && dataset.measures.some((m) => m.name === n))];
    const next: Query = { ...query, measures: [...new Set(measures)], calc: [...others, made] };
    try {
      await api("POST", "/api/v1/query/explain", { ...next, order: undefined, having: undefined, cursor: null });
      box.close();
      query.measures = next.measures;
      done(made);
    } catch (error) {
      say.className = "error";
      say.textContent = message(error);
      expr.setAttribute("aria-invalid", "true");
      expr.focus();
    }
  };
  const form = h("form", { class: "stack", method: "dialog", onsubmit: (e: Event) => {
    e.preventDefault();
    void apply();
  } }, field(t("名称", "Name"), label), field(t("算式", "Expression"), expr), buttons,
    h("div", { class: "pair" }, field(t("单位", "Unit"), unit), field(t("小数位", "Digits"), digits)), say,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, t("应用", "Apply"))));
  const box = dialog(t("自定义指标", "Own figure"), form);
  label.focus();
}

// ---- views ----

export interface ViewsContext {
  roles: [string, string][];
  state: () => State;
  open: (query: Query, chart: string | null, name: string) => void;
}

export async function viewsDialog(context: ViewsContext): Promise<void> {
  const list = h("ul", { class: "views" }, h("li", { class: "hint" }, t("正在读取…", "Loading…")));
  const say = h("p", { class: "hint", role: "status" });
  const name = h("input", { id: "view-name", maxlength: "60", required: true, placeholder: t("例如：徐汇区每周侵财警情", "a name") });
  const note = h("input", { id: "view-note", maxlength: "300" });
  const roles = h("div", { class: "choices" }, context.roles.map(([role, label]) => h("label", { class: "check" }, h("input", { type: "checkbox", value: role }), label)));
  const fill = async () => {
    const views = await api<View[]>("GET", "/api/v1/views");
    list.replaceChildren(...(views.length ? views.map(row) : [h("li", { class: "hint" }, t("还没有保存的视图。", "Nothing is kept yet."))]));
  };
  const row = (view: View): HTMLElement => h("li", null,
    h("button", { type: "button", class: "link", onclick: () => {
      box.close();
      context.open(view.query, view.chart, view.name);
    } }, view.name),
    h("span", { class: "hint" }, [view.note, view.own ? (view.roles.length ? t(`共享给 ${view.roles.map((r) => context.roles.find(([n]) => n === r)?.[1] ?? r).join("、")}`, `shared with ${view.roles.join(", ")}`) : t("仅自己", "own")) : t(`${view.owner} 共享`, `shared by ${view.owner}`)].filter(Boolean).join(" · ")),
    view.own ? h("button", { type: "button", class: "quiet", "aria-label": t(`删除 ${view.name}`, `Delete ${view.name}`), onclick: () => void drop(view) }, t("删除", "Delete")) : null);
  const drop = async (view: View) => {
    await send("DELETE", `/api/v1/views/${view.id}`);
    await fill();
  };
  const save = async () => {
    const { query, chart } = context.state();
    try {
      const picked = Array.from(roles.querySelectorAll<HTMLInputElement>("input:checked"), (i) => i.value);
      await api("POST", "/api/v1/views", { name: name.value, note: note.value, query: { ...query, cursor: null }, chart, roles: picked });
      say.className = "hint";
      say.textContent = t(`已保存「${name.value}」`, `kept as ${name.value}`);
      name.value = "";
      await fill();
    } catch (error) {
      say.className = "error";
      say.textContent = message(error);
    }
  };
  const form = h("form", { class: "stack", onsubmit: (e: Event) => {
    e.preventDefault();
    void save();
  } }, field(t("名称", "Name"), name), field(t("说明", "Note"), note), h("fieldset", null, h("legend", null, t("共享给角色（各人只看到自己有权看的数据）", "Share with roles (each sees what they may)")), roles), say,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, t("保存当前查询", "Keep this query"))));
  const box = dialog(t("视图", "Views"), list, form);
  name.focus();
  try {
    await fill();
  } catch (error) {
    list.replaceChildren(h("li", { class: "error" }, message(error)));
  }
}

// ---- copying ----

async function copy(text: string, area: HTMLTextAreaElement, button: HTMLButtonElement): Promise<void> {
  area.select();
  // Plain HTTP has no clipboard API; the old way works on what is selected.
  const done = navigator.clipboard ? await navigator.clipboard.writeText(text).then(() => true, () => false) : false;
  if (!done) document.execCommand("copy");
  const before = button.textContent;
  button.textContent = t("已复制", "Copied");
  window.setTimeout(() => (button.textContent = before), 1500);
}

export function copyDialog(state: State): void {
  const { cursor: _cursor, ...query } = state.query;
  const json = JSON.stringify(query, null, 1).replace(/\n\s*/g, " ");
  const origin = location.origin;
  const curl = `curl -s ${origin}/api/v1/query \\\n  -H "Authorization: Bearer $ZONGLAN_TOKEN" -H 'Content-Type: application/json' \\\n  -d '${json.replace(/'/g, "'\\''")}'`;
  const texts: [string, string, string][] = [["copy-url", t("网址（打开即还原本页；看到什么由打开者的权限决定）", "Address (restores this page; who opens it sees what they may)"), origin + address(state)], ["copy-curl", t("命令行", "Command line"), curl], ["copy-json", t("查询 JSON（POST /api/v1/query）", "Query as JSON (POST /api/v1/query)"), json]];
  dialog(t("复制", "Copy"), ...texts.map(([id, label, text]) => {
    const area = h("textarea", { id, readonly: true, rows: "4", class: "mono", spellcheck: "false" }, text);
    const button = h("button", { type: "button", onclick: (e: Event) => void copy(text, area, e.currentTarget as HTMLButtonElement) }, t("复制", "Copy"));
    return h("div", { class: "copy" }, h("label", { for: id }, label), area, button);
  }), h("p", { class: "hint" }, t("令牌由 POST /api/v1/tokens 取得。", "A token comes from POST /api/v1/tokens.")));
}

// ---- exports ----

export function exportDialog(query: Query, most: number): void {
  const { limit: _limit, cursor: _cursor, ...all } = query;
  const rows = Boolean(query.rows?.length);
  const say = h("p", { class: "hint", role: "status" }, t(`您的角色一次最多导出 ${decimal(most)} 行。文件首行（XLSX 首行、Parquet 元数据）写明导出人、时间和条件；每次导出都记入审计。`, `Your role may export ${decimal(most)} rows at once. The file says who, when and from which conditions; every export is audited.`));
  const bar = h("progress", { max: "100", hidden: true, "aria-label": t("进度", "Progress") });
  const stop = new AbortController();
  const formats: [string, string][] = [["csv", "CSV"], ["xlsx", "XLSX"], ["parquet", "Parquet"]];
  const buttons = formats.map(([format, label]) => h("button", { type: "button", "data-format": format, onclick: () => void run(format) }, label));
  const run = async (format: string) => {
    for (const b of buttons) b.disabled = true;
    bar.hidden = false;
    bar.removeAttribute("value");
    say.className = "hint";
    say.textContent = t("正在准备…", "Preparing…");
    try {
      const response = await send("POST", "/api/v1/exports", { query: all, format }, { signal: stop.signal });
      const total = Number(response.headers.get("x-zonglan-rows") ?? 0);
      const cut = Number(response.headers.get("x-zonglan-cut") ?? 0);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      let lines = 0;
      const reader = response.body?.getReader();
      for (;;) {
        const next = await reader?.read();
        if (!next || next.done) break;
        chunks.push(next.value);
        bytes += next.value.length;
        if (format === "csv") for (const byte of next.value) if (byte === 10) lines += 1;
        const part = format === "csv" && total ? Math.min(100, (lines / (total + 2)) * 100) : 0;
        if (part) bar.value = part;
        say.textContent = `${decimal(bytes / 1024)} KB${format === "csv" && total ? ` · ${decimal(Math.min(lines, total))} / ${decimal(total)} ${t("行", "rows")}` : ""}`;
      }
      const name = /filename="?([^";]+)"?/i.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? `${query.dataset}.${format}`;
      const url = URL.createObjectURL(new Blob(chunks as BlobPart[], { type: response.headers.get("content-type") ?? "" }));
      const link = h("a", { href: url, download: name });
      document.body.append(link);
      link.click();
      link.remove();
      URL.revokeObjectURL(url);
      bar.value = 100;
      say.textContent = t(`已导出 ${decimal(total)} ${rows ? "行" : "组"}，${decimal(bytes / 1024)} KB`, `${decimal(total)} ${rows ? "rows" : "groups"}, ${decimal(bytes / 1024)} KB`) + (cut ? t(`；另有 ${decimal(cut)} 行超出您的限额，未导出`, `; ${decimal(cut)} more are beyond your limit`) : "");
    } catch (error) {
      if (stop.signal.aborted) return;
      say.className = "error";
      say.textContent = message(error);
      bar.hidden = true;
    } finally {
      for (const b of buttons) b.disabled = false;
    }
  };
  const box = dialog(t("导出", "Export"), h("div", { class: "actions" }, buttons), bar, say);
  box.addEventListener("close", () => stop.abort());
  buttons[0]?.focus();
}
