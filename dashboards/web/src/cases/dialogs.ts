// What opens over the list: similar cases, numbers to check, kept searches, history, export, help.

import { api, byId, download, h, message, send, t } from "../lib/dom";
import { decimal } from "../lib/format";
import type { DatasetView, Json } from "../lib/types";
import { caseLink, hitItem, nameOf } from "./parts";
import { request } from "./state";
import type { Hit, SavedSearch, State } from "./types";

export interface Page {
  dataset: () => DatasetView | undefined;
  state: () => State;
  go: (state: State) => void;
}

let opener: HTMLElement | null = null;

export function open(title: string, ...body: (Node | string)[]): HTMLElement {
  const dialog = byId<HTMLDialogElement>("dialog");
  opener = document.activeElement as HTMLElement | null;
  byId("dialog-title").textContent = title;
  const content = byId("dialog-body");
  content.replaceChildren(...body);
  if (!dialog.open) dialog.showModal();
  dialog.onclose = () => opener?.focus();
  return content;
}

export function close(): void {
  byId<HTMLDialogElement>("dialog").close();
}

const wait = () => h("p", { class: "empty" }, t("请稍候…", "Please wait…"));
const wrong = (error: unknown) => h("p", { class: "error", role: "alert" }, message(error));
const when = (ms: number) => new Date(ms + 8 * 3600_000).toISOString().slice(0, 16).replace("T", " ");

/** Cases like a document, or like pasted facts. */
export function similar(page: Page, id?: string, title?: string): void {
  const dataset = page.dataset();
  if (!dataset) return;
  const list = h("div", { class: "similar-list", "aria-live": "polite" });
  const ask = async (body: Record<string, Json>) => {
    list.replaceChildren(wait());
    try {
      const answer = await api<{ hits: Hit[]; recognised: Record<string, string[]>; words: string[] }>("POST", "/api/v1/search/similar", { dataset: dataset.name, limit: 20, ...body });
      const seen = Object.entries(answer.recognised).flatMap(([field, values]) => values.map((v) => `${dataset.fields.find((f) => f.name === field)?.label ?? field} ${nameOf(dataset, field, v)}`));
      list.replaceChildren(
        seen.length ? h("p", { class: "hint" }, t("从文字中识别出：", "Recognised: "), seen.join("、")) : "",
        answer.hits.length ? h("ol", { class: "hits" }, answer.hits.map((hit) => hitItem(dataset, hit, "", (other, name) => similar(page, other, name)))) : h("p", { class: "empty" }, t("没有找到相似的文书。", "Nothing similar was found.")));
    } catch (error) {
      list.replaceChildren(wrong(error));
    }
  };
  if (id) {
    open(t(`与「${title ?? id}」类似的案件`, `Like ${title ?? id}`), list);
    void ask({ id });
    return;
  }
  const text = h("textarea", { id: "similar-text", rows: 8, placeholder: t("粘贴案情、起诉书或裁判文书片段", "Paste facts or part of a judgment") });
  const form = h("form", { class: "stack", onsubmit: (e: Event) => {
    e.preventDefault();
    if (text.value.trim()) void ask({ text: text.value });
  } }, h("label", { for: "similar-text" }, t("案情", "Facts")), text, h("div", { class: "form-foot" }, h("button", { class: "primary", type: "submit" }, t("查找类案", "Find"))));
  open(t("类案检索", "Similar cases"), form, list);
  text.focus();
}

/** A list of case numbers, one a line. */
export function numbers(page: Page): void {
  const dataset = page.dataset();
  if (!dataset) return;
  const text = h("textarea", { id: "numbers-text", rows: 8, placeholder: t("每行一个案号，括号和全角半角不限，最多 500 个", "One case number a line, at most 500") });
  const out = h("div", { "aria-live": "polite" });
  const form = h("form", { class: "stack", onsubmit: async (e: Event) => {
    e.preventDefault();
    const list = text.value.split(/[\n,，;；、]+/).map((n) => n.trim()).filter(Boolean);
    if (!list.length) return;
    out.replaceChildren(wait());
    try {
      const answer = await api<{ given: string; number: string; hits: Hit[] }[]>("POST", "/api/v1/search/numbers", { dataset: dataset.name, numbers: list });
      const found = answer.filter((a) => a.hits.length).length;
      out.replaceChildren(h("p", { class: "count" }, t(`${answer.length} 个案号，找到 ${found} 个`, `${found} of ${answer.length} found`)),
        h("table", { class: "grid" }, h("thead", null, h("tr", null, h("th", null, t("案号", "Number")), h("th", null, t("结果", "Result")))),
          h("tbody", null, answer.map((a) => h("tr", null, h("td", null, a.number), h("td", null, a.hits.length ? a.hits.slice(0, 5).map((hit) => h("a", { href: caseLink(dataset.name, hit.id, ""), class: "numbers-hit" }, [nameOf(dataset, "court", hit.fields["court"] ?? null), nameOf(dataset, dataset.title ?? "", hit.fields[dataset.title ?? ""] ?? null)].filter(Boolean).join(" ") || hit.id)) : h("span", { class: "flat" }, t("没有，或您不能查看", "none, or not yours to see"))))))));
    } catch (error) {
      out.replaceChildren(wrong(error));
    }
  } }, h("label", { for: "numbers-text" }, t("案号", "Case numbers")), text, h("div", { class: "form-foot" }, h("button", { class: "primary", type: "submit" }, t("核对", "Check"))));
  open(t("批量核对案号", "Check case numbers"), form, out);
  text.focus();
}

/** The state that a kept or past request describes. */
function stateOf(asked: { dataset: string; query?: string; within?: string[]; filters?: Json; sort?: string | null }): State {
  const filters = new Map<string, string[]>();
  let from = "";
  let to = "";
  const leaf = (node: Json): void => {
    if (!node || typeof node !== "object" || Array.isArray(node)) return;
    for (const [field, test] of Object.entries(node)) {
      if (field === "and" && Array.isArray(test)) test.forEach(leaf);
      else if (test && typeof test === "object" && !Array.isArray(test)) {
        if (Array.isArray(test["in"])) filters.set(field, test["in"].map(String));
        if (typeof test["eq"] === "string") filters.set(field, [test["eq"]]);
        if (typeof test["gte"] === "string") from = test["gte"].slice(0, 10);
        if (typeof test["lt"] === "string") to = test["lt"].slice(0, 10);
      }
    }
  };
  leaf(asked.filters ?? null);
  return { dataset: asked.dataset, q: asked.query ?? "", within: asked.within ?? [], sort: asked.sort ?? "relevance", offset: 0, filters, from, to };
}

export async function saved(page: Page): Promise<void> {
  const body = open(t("已存检索", "Saved searches"), wait());
  const draw = async () => {
    try {
      const list = await api<SavedSearch[]>("GET", "/api/v1/search/saved");
      body.replaceChildren(list.length ? h("ul", { class: "plain-list" }, list.map((s) => h("li", null,
        h("button", { type: "button", class: "link", onclick: () => { close(); page.go(stateOf(s.request)); } }, s.name),
        h("span", { class: "meta" }, s.request.query || t("（全部）", "(all)"), ` · ${decimal(s.total)} `, t("条", "hits"), s.alert ? ` · ${t("有新结果时提醒", "alerts")}` : "", s.note ? ` · ${s.note}` : ""),
        h("button", { type: "button", class: "quiet", "aria-label": t(`删除 ${s.name}`, `Delete ${s.name}`), onclick: async () => { await send("DELETE", `/api/v1/search/saved/${s.id}`); await draw(); } }, t("删除", "Delete")))))
        : h("p", { class: "empty" }, t("还没有保存的检索。检索后点「保存」。", "Nothing is saved yet.")));
    } catch (error) {
      body.replaceChildren(wrong(error));
    }
  };
  await draw();
}

export async function openSaved(page: Page, id: number): Promise<boolean> {
  const list = await api<SavedSearch[]>("GET", "/api/v1/search/saved").catch(() => []);
  const found = list.find((s) => s.id === id);
  if (found) page.go(stateOf(found.request));
  return !!found;
}

export async function history(page: Page): Promise<void> {
  const body = open(t("检索历史", "History"), wait());
  try {
    const list = await api<{ at: number; detail: { query?: string; within?: string[]; filters?: Json; sort?: string; total?: number; dataset?: string } | null }[]>("GET", "/api/v1/search/history");
    const seen = new Set<string>();
    const rows = list.filter((l) => l.detail?.query).filter((l) => {
      const key = `${l.detail?.query}${JSON.stringify(l.detail?.filters)}`;
      return seen.has(key) ? false : (seen.add(key), true);
    });
    body.replaceChildren(rows.length ? h("ul", { class: "plain-list" }, rows.slice(0, 50).map((l) => h("li", null,
      h("button", { type: "button", class: "link", onclick: () => { close(); page.go(stateOf({ ...l.detail, dataset: page.state().dataset })); } }, l.detail?.query ?? ""),
      h("span", { class: "meta" }, when(l.at), ` · ${decimal(l.detail?.total ?? 0)} `, t("条", "hits")))))
      : h("p", { class: "empty" }, t("还没有检索记录。", "No searches yet.")));
  } catch (error) {
    body.replaceChildren(wrong(error));
  }
}

export function save(page: Page): void {
  const dataset = page.dataset();
  if (!dataset) return;
  const state = page.state();
  const name = h("input", { id: "save-name", value: state.q.slice(0, 40), maxlength: 60, required: true });
  const alert = h("input", { type: "checkbox", id: "save-alert" });
  const out = h("p", { class: "error", role: "alert" });
  const form = h("form", { class: "stack", onsubmit: async (e: Event) => {
    e.preventDefault();
    out.textContent = "";
    try {
      await api("POST", "/api/v1/search/saved", { name: name.value, alert: alert.checked, request: request(state, dataset) });
      close();
    } catch (error) {
      out.textContent = message(error);
    }
  } }, h("div", { class: "field" }, h("label", { for: "save-name" }, t("名称", "Name")), name),
    h("label", { class: "check" }, alert, " ", t("有新结果时提醒我", "Tell me of new hits")),
    h("p", { class: "hint" }, t("提醒不能针对个人：含当事人姓名的检索不能保存，指派给您的案件除外。", "A search for a person cannot be kept, unless the case is assigned to you.")),
    out, h("div", { class: "form-foot" }, h("button", { class: "primary", type: "submit" }, t("保存", "Save"))));
  open(t("保存检索", "Save search"), form);
  name.select();
}

export function exporting(page: Page): void {
  const dataset = page.dataset();
  if (!dataset) return;
  const state = page.state();
  const forCase = h("input", { id: "export-case", placeholder: t("如 （2026）沪0104刑初9号 张某盗窃案", "the case it is made for") });
  const conclusion = h("textarea", { id: "export-conclusion", rows: 4, placeholder: t("裁判要点、与待决案件的异同、是否参照；可留空后填", "may be filled in later") });
  const out = h("p", { class: "error", role: "alert" });
  const run = (format: string) => async () => {
    out.textContent = "";
    try {
      const response = await send("POST", "/api/v1/search/export", { request: request(state, dataset), format, case: forCase.value, conclusion: conclusion.value });
      await download(response, `export.${format}`);
    } catch (error) {
      out.textContent = message(error);
    }
  };
  open(t("导出", "Export"),
    h("section", { class: "stack" }, h("h3", null, t("结果清单", "List")), h("div", { class: "form-foot" }, h("button", { type: "button", "data-format": "csv", onclick: run("csv") }, "CSV"), h("button", { type: "button", "data-format": "xlsx", onclick: run("xlsx") }, "XLSX"))),
    h("section", { class: "stack block" }, h("h3", null, t("类案检索报告", "Report of similar cases")),
      h("div", { class: "field" }, h("label", { for: "export-case" }, t("待决案件", "Pending case")), forCase),
      h("div", { class: "field" }, h("label", { for: "export-conclusion" }, t("参考意见", "Conclusion")), conclusion),
      h("div", { class: "form-foot" }, h("button", { type: "button", class: "primary", "data-format": "docx", onclick: run("docx") }, t("Word 文档", "DOCX")), h("button", { type: "button", "data-format": "pdf", onclick: run("pdf") }, "PDF"))),
    h("p", { class: "hint" }, t("导出会留痕，行数以您的角色为限；报告最多列 100 件，按效力层级排列。", "Exports are audited and limited by your role.")), out);
}

export function help(): void {
  const row = (keys: string, what: string) => h("tr", null, h("td", { class: "nowrap" }, h("code", null, keys)), h("td", null, what));
  open(t("语法与快捷键", "Help"),
    h("table", { class: "grid" }, h("tbody", null,
      row(t("词 词", "a b"), t("按相关度排列，不因缺一个词而没有结果", "ranked by relevance")),
      row(t("“原文片段”", "“fragment”"), t("逐字精确匹配，一个字也可以", "exact, from one character on")),
      row(t("且 或 非 ( )", "AND OR NOT ( )"), t("组合条件", "combine")),
      row("A /s B　A /p B", t("同句、同段", "same sentence, same paragraph")),
      row("A NEAR/5 B", t("相距 5 字以内", "within 5 characters")),
      row(t("字段: 值", "field: value"), t("只在该字段中，如 court: 徐汇", "in that field only")),
      row(t("盗* 窃?", "a* b?"), t("通配", "wildcards")))),
    h("h3", null, t("快捷键", "Keys")),
    h("table", { class: "grid" }, h("tbody", null,
      row("/", t("到检索框", "to the search box")), row("j k ↓ ↑", t("下一条、上一条", "next, previous hit")), row("Enter", t("打开", "open")),
      row("s", t("类似案件", "similar cases")), row("[ ]", t("上一页、下一页", "previous, next page")), row("?", t("本说明", "this help")), row("Esc", t("关闭", "close")))));
}
