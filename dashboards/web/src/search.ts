// The page /cases: a query with chips, facets, a histogram, hits with passages; all by keyboard too.

import { api, byId, h, message, pageData, t } from "./lib/dom";
import { decimal } from "./lib/format";
import type { DatasetView } from "./lib/types";
import * as dialogs from "./cases/dialogs";
import { facetSection, histogram, hitItem, nameOf } from "./cases/parts";
import { address, facetFields, read, request } from "./cases/state";
import { attach } from "./cases/suggest";
import type { Chip, Correction, ParsedQuery, SearchPage, State } from "./cases/types";

const PAGE = 20;
const datasets = pageData<{ datasets: DatasetView[] }>().datasets;
const form = byId<HTMLFormElement>("search");
const input = byId<HTMLInputElement>("q");
const choose = byId<HTMLSelectElement>("dataset");
const order = byId<HTMLSelectElement>("sort");
const within = byId<HTMLInputElement>("within");
// On a phone the hits come first; the filters open on a tap.
if (matchMedia("(max-width: 759px)").matches) byId<HTMLDetailsElement>("facet-box").open = false;
choose.append(...datasets.map((d) => h("option", { value: d.name }, d.label)));

const state = (): State => read(datasets);
const current = (): DatasetView | undefined => datasets.find((d) => d.name === state().dataset);

function go(next: State): void {
  window.history.pushState(null, "", address(next));
  void run();
}

/** Changes the search and begins its list anew. */
function change(edit: (next: State) => void): void {
  const next = state();
  next.offset = 0;
  edit(next);
  go(next);
}

const page: dialogs.Page = { dataset: current, state, go };

let turn = 0;
async function run(): Promise<void> {
  const mine = ++turn;
  const now = state();
  const dataset = current();
  const hits = byId("hits");
  if (!dataset) {
    byId("count").textContent = "";
    hits.replaceChildren(h("li", { class: "empty" }, t("没有您可以检索的数据集。可在「查询权限」申请。", "There is nothing that you may search.")));
    return;
  }
  choose.value = dataset.name;
  input.value = now.q;
  within.checked = false;
  const sorts: [string, string][] = [["relevance", t("相关度", "relevance")]];
  if (dataset.time) sorts.push([`-${dataset.time}`, t("最新在前", "newest first")], [dataset.time, t("最早在前", "oldest first")]);
  order.replaceChildren(...sorts.map(([v, text]) => h("option", { value: v, selected: v === now.sort }, text)));
  byId("count").textContent = t("正在检索…", "Searching…");
  void chips(dataset, now, mine);
  const long = !now.from || !now.to || Date.parse(now.to) - Date.parse(now.from) > 800 * 86400_000;
  const steps = dataset.time ? { histogram: { field: dataset.time, step: long ? "year" : "month" } } : {};
  try {
    const answer = await api<SearchPage>("POST", "/api/v1/search", { ...request(now, dataset), ...steps, facets: facetFields(dataset), offset: now.offset, limit: PAGE });
    if (mine !== turn) return;
    byId("count").textContent = t(`共 ${decimal(answer.total)} 条结果`, `${decimal(answer.total)} results`);
    const similar = (id: string, title: string) => dialogs.similar(page, id, title);
    hits.replaceChildren(...answer.hits.map((hit) => hitItem(dataset, hit, [now.q, ...now.within].filter(Boolean).join(" "), similar)));
    if (!answer.hits.length) hits.append(h("li", { class: "empty" }, t("没有找到。可以减少词语、去掉筛选条件，或用「类案检索」粘贴案情。", "Nothing found. Try fewer words or filters.")));
    problems(answer, now);
    sides(dataset, answer, now);
    pager(answer.total, now);
    void meant(dataset, now, answer.total, mine);
  } catch (error) {
    if (mine !== turn) return;
    byId("count").textContent = "";
    byId("facets").replaceChildren();
    byId("pager").replaceChildren();
    hits.replaceChildren(h("li", { class: "error", role: "alert" }, message(error)));
  }
}

/** What was read forgivingly in the query, at its place. */
function problems(answer: SearchPage, now: State): void {
  const chars = Array.from(now.q);
  for (const problem of answer.problems ?? []) {
    byId("hits").prepend(h("li", { class: "query-problem" }, chars.slice(0, problem.from).join(""), h("u", null, chars.slice(problem.from, Math.max(problem.to, problem.from + 1)).join("") || "▯"), chars.slice(problem.to).join(""), h("span", null, `${problem.message}。${problem.hint}`)));
  }
}

/** The query's parts: each can be edited in place or taken away. */
async function chips(dataset: DatasetView, now: State, mine: number): Promise<void> {
  const box = byId("chips");
  let parsed: ParsedQuery = { query: now.q, chips: [], problems: [] };
  if (now.q) {
    try {
      parsed = await api<ParsedQuery>("POST", "/api/v1/search/parse", { dataset: dataset.name, query: now.q });
    } catch {
      // The search itself says what is wrong.
    }
  }
  if (mine !== turn) return;
  const join = async (list: Chip[]) => {
    const joined = list.length ? (await api<ParsedQuery>("POST", "/api/v1/search/parse", { dataset: dataset.name, chips: list })).query : "";
    change((next) => (next.q = joined));
  };
  const remove = (what: () => void) => h("button", { type: "button", "aria-label": t("去掉", "Remove"), onclick: what }, "×");
  const parts: HTMLElement[] = parsed.chips.map((chip, i) => {
    const el = h("span", { class: `chip query-chip ${chip.kind}` });
    const label = h("button", { type: "button", class: "chip-text", title: t("点按编辑", "Edit"), onclick: () => {
      const edit = h("input", { class: "chip-edit", value: chip.text, size: Math.max(4, chip.text.length + 2), "aria-label": t("编辑条件", "Edit"), onkeydown: (e: Event) => {
        const key = (e as KeyboardEvent).key;
        if (key === "Enter" && !(e as KeyboardEvent).isComposing) {
          e.preventDefault();
          void join(parsed.chips.map((c, n) => (n === i ? { ...c, text: edit.value } : c)));
        } else if (key === "Escape") edit.replaceWith(label);
      }, onblur: () => edit.replaceWith(label) });
      label.replaceWith(edit);
      edit.select();
    } }, chip.label || chip.text);
    el.append(label, remove(() => void join(parsed.chips.filter((_, n) => n !== i))));
    return el;
  });
  parts.push(...now.within.map((q, i) => h("span", { class: "chip" }, t("结果中：", "within: ") + q, remove(() => change((next) => next.within.splice(i, 1))))));
  for (const [field, values] of now.filters) {
    const label = dataset.fields.find((f) => f.name === field)?.label ?? field;
    parts.push(...values.map((value) => h("span", { class: "chip filter-chip" }, `${label}：${nameOf(dataset, field, value)}`, remove(() => toggle(field, value, false)))));
  }
  if (now.from || now.to) parts.push(h("span", { class: "chip filter-chip" }, `${now.from || "…"} – ${now.to || "…"}`, remove(() => change((next) => { next.from = ""; next.to = ""; }))));
  if (parts.length > 1) parts.push(h("button", { type: "button", class: "quiet", onclick: () => go({ ...state(), q: "", within: [], filters: new Map(), from: "", to: "", offset: 0 }) }, t("全部清除", "Clear")));
  box.replaceChildren(...parts);
}

function toggle(field: string, value: string, on: boolean): void {
  change((next) => {
    const rest = (next.filters.get(field) ?? []).filter((v) => v !== value);
    if (on) rest.push(value);
    if (rest.length) next.filters.set(field, rest);
    else next.filters.delete(field);
  });
}

/** A query that finds little may have been meant otherwise. */
async function meant(dataset: DatasetView, now: State, total: number, mine: number): Promise<void> {
  const line = byId("meant");
  line.hidden = true;
  if (!now.q || total > 3) return;
  const found = await api<Correction | null>("POST", "/api/v1/search/correct", { dataset: dataset.name, query: now.q }).catch(() => null);
  if (!found || mine !== turn) return;
  line.replaceChildren(t("您要找的是：", "Did you mean: "), h("button", { type: "button", class: "link", onclick: () => change((next) => (next.q = found.query)) }, found.query));
  line.hidden = false;
}

function sides(dataset: DatasetView, answer: SearchPage, now: State): void {
  const shown = facetFields(dataset).filter((name) => answer.facets[name]?.length);
  byId("facets").replaceChildren(...shown.map((name) => facetSection(dataset, name, answer.facets[name] ?? [], now.filters.get(name) ?? [], (value, on) => toggle(name, value, on))));
  const box = byId("histogram");
  const buckets = answer.histogram ?? [];
  box.hidden = buckets.length < 2;
  if (!box.hidden) {
    const field = dataset.fields.find((f) => f.name === dataset.time);
    box.replaceChildren(h("h2", null, field?.label ?? t("时间", "Time")), histogram(buckets, (from, to) => change((next) => { next.from = from; next.to = to; })));
  }
}

function pager(total: number, now: State): void {
  const turnTo = (offset: number) => () => {
    go({ ...state(), offset: Math.max(0, offset) });
    window.scrollTo({ top: 0 });
  };
  const pages = Math.ceil(total / PAGE);
  byId("pager").replaceChildren(...(pages > 1 ? [
    h("button", { type: "button", id: "previous", disabled: now.offset <= 0, onclick: turnTo(now.offset - PAGE) }, t("上一页", "Previous")),
    h("span", { class: "num" }, `${Math.floor(now.offset / PAGE) + 1} / ${decimal(pages)}`),
    h("button", { type: "button", id: "next", disabled: now.offset + PAGE >= total, onclick: turnTo(now.offset + PAGE) }, t("下一页", "Next"))] : []));
}

attach(input, () => current()?.name ?? "", () => form.requestSubmit());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = input.value.trim();
  change((next) => {
    next.dataset = choose.value;
    if (within.checked && next.q && words !== next.q) next.within = [...next.within, next.q];
    else if (!within.checked) next.within = [];
    next.q = words;
  });
});
choose.addEventListener("change", () => change((next) => Object.assign(next, { dataset: choose.value, filters: new Map(), from: "", to: "", sort: "relevance", within: [] })));
order.addEventListener("change", () => change((next) => (next.sort = order.value)));
window.addEventListener("popstate", () => void run());

const tools: Record<string, () => void> = {
  similar: () => dialogs.similar(page),
  numbers: () => dialogs.numbers(page),
  saved: () => void dialogs.saved(page),
  history: () => void dialogs.history(page),
  save: () => dialogs.save(page),
  export: () => dialogs.exporting(page),
  help: () => dialogs.help(),
};
document.querySelectorAll<HTMLElement>("[data-tool]").forEach((el) => el.addEventListener("click", () => tools[el.dataset.tool ?? ""]?.()));

/** The next hit with the keyboard. */
function step(by: number): void {
  const list = [...document.querySelectorAll<HTMLElement>("#hits > .hit")];
  const at = list.findIndex((el) => el.contains(document.activeElement));
  const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || target.closest("input, select, textarea, dialog")) return;
  const hit = target.closest<HTMLElement>(".hit");
  const keys: Record<string, () => void> = {
    "/": () => input.select(),
    "?": () => dialogs.help(),
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    "[": () => document.getElementById("previous")?.click(),
    "]": () => document.getElementById("next")?.click(),
  };
  if (hit) {
    keys["s"] = () => dialogs.similar(page, hit.dataset.id, hit.querySelector("h2")?.textContent ?? "");
    if (target === hit) keys["Enter"] = () => hit.querySelector<HTMLAnchorElement>("h2 a")?.click();
  }
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const kept = Number(new URLSearchParams(location.search).get("saved"));
if (kept) void dialogs.openSaved(page, kept).then((found) => { if (!found) void run(); });
else void run();
