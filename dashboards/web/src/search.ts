// Full-text search with facets and pages, and the marks in one document.

import { api, byId, h, message, pageData, t } from "./lib/dom";
import { decimal, minute } from "./lib/format";
import type { DatasetView, Json } from "./lib/types";

interface Passage {
  field: string;
  text: string;
  marks: [number, number][];
}

interface Hit {
  id: string;
  score: number;
  fields: Record<string, Json>;
  highlights: Passage[];
}

interface SearchPage {
  total: number;
  hits: Hit[];
  facets: Record<string, { value: string; count: number; label?: string }[]>;
}

const PAGE = 20;
// On a phone the hits come first; the filters open on a tap.
if (matchMedia("(max-width: 759px)").matches) byId<HTMLDetailsElement>("facet-box").open = false;
const MOST_FACETS = 10;

/** The passage with its marks; positions count characters, not UTF-16 units. */
function marked(passage: Passage): (Node | string)[] {
  const chars = Array.from(passage.text);
  const parts: (Node | string)[] = [];
  let at = 0;
  for (const [start, end] of passage.marks) {
    if (start > at) parts.push(chars.slice(at, start).join(""));
    parts.push(h("mark", null, chars.slice(start, end).join("")));
    at = end;
  }
  parts.push(chars.slice(at).join(""));
  return parts;
}

function list(): void {
  const page = pageData<{ datasets: DatasetView[] }>();
  const form = byId<HTMLFormElement>("search");
  const input = byId<HTMLInputElement>("q");
  const choose = byId<HTMLSelectElement>("dataset");
  const order = byId<HTMLSelectElement>("sort");
  choose.append(...page.datasets.map((d) => h("option", { value: d.name }, d.label)));

  const state = () => {
    const params = new URLSearchParams(location.search);
    const dataset = page.datasets.find((d) => d.name === params.get("dataset")) ?? page.datasets[0];
    const filters = new Map<string, string[]>();
    for (const [key, value] of params) if (key.startsWith("f.")) filters.set(key.slice(2), [...(filters.get(key.slice(2)) ?? []), value]);
    return { dataset, q: params.get("q") ?? "", sort: params.get("sort") ?? "relevance", offset: Number(params.get("from") ?? 0) || 0, filters };
  };

  const go = (change: (params: URLSearchParams) => void) => {
    const params = new URLSearchParams(location.search);
    params.delete("from");
    change(params);
    history.pushState(null, "", `/cases?${params}`);
    void run();
  };

  const toggle = (field: string, value: string, on: boolean) =>
    go((params) => {
      const rest = params.getAll(`f.${field}`).filter((v) => v !== value);
      params.delete(`f.${field}`);
      for (const v of on ? [...rest, value] : rest) params.append(`f.${field}`, v);
    });

  let turn = 0;
  const run = async () => {
    const mine = ++turn;
    const { dataset, q, sort, offset, filters } = state();
    const hits = byId("hits");
    if (!dataset) {
      hits.replaceChildren(h("li", { class: "empty" }, t("没有可以检索的数据集。", "There is nothing that you may search.")));
      return;
    }
    choose.value = dataset.name;
    input.value = q;
    const sorts: [string, string][] = [["relevance", t("相关度", "relevance")]];
    if (dataset.time) sorts.push([`-${dataset.time}`, t("最新在前", "newest first")], [dataset.time, t("最早在前", "oldest first")]);
    order.replaceChildren(...sorts.map(([v, text]) => h("option", { value: v, selected: v === sort }, text)));
    // Facets are short lists: codes, regions, and keywords that are no identifiers.
    const facets = dataset.fields.filter((f) => f.search === "keyword" && f.sensitivity !== "personal" && !dataset.key.includes(f.name) && f.name !== dataset.title && f.type !== "ref" && !/_number$/.test(f.name)).map((f) => f.name).slice(0, 6);
    const where = [...filters].map(([field, values]) => ({ [field]: { in: values } }));
    byId("count").textContent = t("正在检索…", "Searching…");
    try {
      const answer = await api<SearchPage>("POST", "/api/v1/search", { dataset: dataset.name, query: q, filters: where.length ? { and: where } : {}, facets, sort, offset, limit: PAGE });
      if (mine !== turn) return;
      byId("count").textContent = t(`共 ${decimal(answer.total)} 条结果`, `${decimal(answer.total)} results`);
      hits.replaceChildren(...(answer.hits.length ? answer.hits.map((hit) => item(dataset, hit, q)) : [h("li", { class: "empty" }, t("没有找到。可以减少词语，或去掉筛选条件。", "Nothing found. Try fewer words or filters."))]));
      sides(dataset, answer, filters);
      pager(answer.total, offset);
    } catch (error) {
      if (mine !== turn) return;
      byId("count").textContent = "";
      hits.replaceChildren(h("li", { class: "error", role: "alert" }, message(error)));
    }
  };

  const nameOf = (dataset: DatasetView, field: string, value: Json): string => {
    const info = dataset.fields.find((f) => f.name === field);
    if (value === null || value === undefined) return "";
    if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
    if (info?.type === "instant") return minute(String(value));
    return info?.codes.find(([c]) => c === value)?.[1] ?? (typeof value === "number" ? decimal(value, info?.scale ?? 0) + (info?.unit ? ` ${info.unit}` : "") : String(value));
  };

  const item = (dataset: DatasetView, hit: Hit, q: string) => {
    const title = dataset.title ? nameOf(dataset, dataset.title, hit.fields[dataset.title] ?? null) : "";
    const href = `/cases/${encodeURIComponent(hit.id)}?dataset=${dataset.name}${q ? `&q=${encodeURIComponent(q)}` : ""}`;
    const meta = dataset.list.filter((name) => name !== dataset.title && name !== "id").map((name) => nameOf(dataset, name, hit.fields[name] ?? null)).filter(Boolean).slice(0, 7);
    return h("li", { class: "hit" }, h("h2", null, h("a", { href }, title.length > 80 ? `${title.slice(0, 80)}…` : title || hit.id)),
      h("p", { class: "meta" }, meta.map((text) => h("span", null, text.length > 40 ? `${text.slice(0, 40)}…` : text))),
      hit.highlights.slice(0, 3).map((p) => h("p", { class: "passage" }, marked(p))));
  };

  const sides = (dataset: DatasetView, answer: SearchPage, filters: Map<string, string[]>) => {
    const sections = Object.entries(answer.facets).filter(([, values]) => values.length).map(([name, values]) => {
      const field = dataset.fields.find((f) => f.name === name);
      return h("section", null, h("h2", null, field?.label ?? name), values.slice(0, MOST_FACETS).map((facet) => {
        const box = h("input", { type: "checkbox", checked: filters.get(name)?.includes(facet.value), onchange: (e: Event) => toggle(name, facet.value, (e.target as HTMLInputElement).checked) });
        return h("label", null, box, h("span", null, facet.label ?? nameOf(dataset, name, facet.value)), h("span", { class: "num" }, decimal(facet.count)));
      }));
    });
    byId("facets").replaceChildren(...sections);
    byId("chips").replaceChildren(...[...filters].flatMap(([name, values]) => values.map((value) => {
      const label = answer.facets[name]?.find((f) => f.value === value)?.label ?? nameOf(dataset, name, value);
      return h("span", { class: "chip" }, label, h("button", { type: "button", "aria-label": t("去掉条件", "Remove"), onclick: () => toggle(name, value, false) }, "×"));
    })));
  };

  const pager = (total: number, offset: number) => {
    const turnTo = (from: number) => () => {
      const params = new URLSearchParams(location.search);
      if (from > 0) params.set("from", String(from));
      else params.delete("from");
      history.pushState(null, "", `/cases?${params}`);
      void run();
      window.scrollTo({ top: 0 });
    };
    const pages = Math.ceil(total / PAGE);
    byId("pager").replaceChildren(...(pages > 1 ? [
      h("button", { type: "button", disabled: offset <= 0, onclick: turnTo(offset - PAGE) }, t("上一页", "Previous")),
      h("span", { class: "num" }, `${Math.floor(offset / PAGE) + 1} / ${decimal(pages)}`),
      h("button", { type: "button", disabled: offset + PAGE >= total, onclick: turnTo(offset + PAGE) }, t("下一页", "Next"))] : []));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go((params) => {
      params.set("dataset", choose.value);
      if (input.value.trim()) params.set("q", input.value.trim());
      else params.delete("q");
    });
  });
  choose.addEventListener("change", () =>
    go((params) => {
      for (const key of [...params.keys()]) if (key.startsWith("f.") || key === "sort") params.delete(key);
      params.set("dataset", choose.value);
    }));
  order.addEventListener("change", () => go((params) => params.set("sort", order.value)));
  window.addEventListener("popstate", () => void run());
  void run();
}

/** Folds width and case, one character to one, so that positions stay. */
function fold(text: string): string {
  return Array.from(text).map((c) => {
    const code = c.codePointAt(0) ?? 0;
    const narrow = code >= 0xff01 && code <= 0xff5e ? String.fromCodePoint(code - 0xfee0) : code === 0x3000 ? " " : c;
    const lower = narrow.toLowerCase();
    return Array.from(lower).length === 1 ? lower : narrow;
  }).join("");
}

/** Marks the words searched for and walks from one to the next. */
function documentMarks(article: HTMLElement): void {
  const text = article.dataset.words ?? "";
  const quoted = [...text.matchAll(/["“”]([^"“”]+)["“”]/g)].map((m) => m[1] ?? "");
  const words = [...quoted, ...text.replace(/["“”][^"“”]*["“”]/g, " ").split(/[\s,，、]+/)].map((w) => fold(w.trim())).filter(Boolean);
  if (!words.length) return;
  const found: HTMLElement[] = [];
  for (const paragraph of article.querySelectorAll<HTMLElement>(".text p")) {
    const chars = Array.from(paragraph.textContent ?? "");
    const folded = Array.from(fold(chars.join("")));
    const spans: [number, number][] = [];
    for (const word of words) {
      const wanted = Array.from(word);
      for (let i = 0; i + wanted.length <= folded.length; i++) if (wanted.every((c, n) => folded[i + n] === c)) spans.push([i, i + wanted.length]);
    }
    if (!spans.length) continue;
    spans.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    const merged: [number, number][] = [];
    for (const [start, end] of spans) {
      const last = merged[merged.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else merged.push([start, end]);
    }
    paragraph.replaceChildren(...marked({ field: "", text: chars.join(""), marks: merged }));
    found.push(...paragraph.querySelectorAll<HTMLElement>("mark"));
  }
  const bar = byId("mark-bar");
  bar.hidden = false;
  if (!found.length) {
    bar.textContent = t("正文中没有这些词语。", "These words are not in the text.");
    return;
  }
  let at = -1;
  const place = h("span", { class: "num" });
  const step = (by: number) => {
    found[at]?.classList.remove("current");
    at = (at + by + found.length) % found.length;
    found[at]?.classList.add("current");
    found[at]?.scrollIntoView({ block: "center" });
    place.textContent = `${at + 1} / ${found.length}`;
  };
  bar.replaceChildren(h("span", null, t(`「${text}」共 ${found.length} 处`, `“${text}”: ${found.length} places`)), h("button", { type: "button", onclick: () => step(-1) }, t("上一处", "Previous")), h("button", { type: "button", onclick: () => step(1) }, t("下一处", "Next")), place);
}

const article = document.getElementById("document");
if (article) documentMarks(article);
else if (document.getElementById("search")) list();
