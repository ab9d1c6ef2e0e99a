// Pieces of the list: passages with marks, hits, facets, the histogram, chips.

import { h, svg, t } from "../lib/dom";
import { decimal, minute } from "../lib/format";
import type { DatasetView, Json } from "../lib/types";
import type { Bucket, Hit, Passage, Reason } from "./types";

/** A passage with its marks; positions count characters, not UTF-16 units. */
export function marked(passage: Pick<Passage, "text" | "marks">): (Node | string)[] {
  const chars = Array.from(passage.text);
  const parts: (Node | string)[] = [];
  let at = 0;
  for (const [start, end] of passage.marks) {
    if (end <= at) continue;
    if (start > at) parts.push(chars.slice(at, start).join(""));
    parts.push(h("mark", null, chars.slice(Math.max(start, at), end).join("")));
    at = end;
  }
  parts.push(chars.slice(at).join(""));
  return parts;
}

/** What a passage is from, where that is a file of the record: a link to the file. */
function source(dataset: string, id: string, passage: Passage): HTMLElement | null {
  if (!passage.file) return null;
  const path = `/api/v1/records/${encodeURIComponent(dataset)}/${encodeURIComponent(id)}/files/${passage.file.id}`;
  return h("a", { class: "file", href: path, download: passage.file.name }, t(`附件 ${passage.file.name}`, `File ${passage.file.name}`));
}

export function nameOf(dataset: DatasetView, field: string, value: Json): string {
  const info = dataset.fields.find((f) => f.name === field);
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
  if (info?.type === "instant") return minute(String(value));
  return info?.codes.find(([c]) => c === value)?.[1] ?? (typeof value === "number" ? decimal(value, info?.scale ?? 0) + (info?.unit ? ` ${info.unit}` : "") : String(value));
}

const cut = (text: string, length: number): string => {
  const chars = Array.from(text);
  return chars.length > length ? `${chars.slice(0, length).join("")}…` : text;
};

export function caseLink(dataset: string, id: string, q: string): string {
  return `/cases/${encodeURIComponent(dataset)}/${encodeURIComponent(id)}${q ? `?q=${encodeURIComponent(q)}` : ""}`;
}

export function reasons(list: Reason[] | undefined): HTMLElement | null {
  if (!list?.length) return null;
  return h("p", { class: "reasons" }, list.slice(0, 6).map((r) => h("span", { class: `reason ${r.kind}` }, r.text)));
}

/** One hit: title, court, date, cause; then the passages; then what can be done with it. */
export function hitItem(dataset: DatasetView, hit: Hit, q: string, similar: (id: string, title: string) => void): HTMLElement {
  const title = dataset.title ? nameOf(dataset, dataset.title, hit.fields[dataset.title] ?? null) : "";
  const heads = ["court", "judged_on", "charges"].filter((f) => dataset.list.includes(f));
  const rest = dataset.list.filter((name) => name !== dataset.title && name !== "id" && name !== "result" && !heads.includes(name));
  const meta = [...heads, ...rest].map((name) => ({ name, text: nameOf(dataset, name, hit.fields[name] ?? null) })).filter((m) => m.text).slice(0, 7);
  const result = dataset.list.includes("result") ? nameOf(dataset, "result", hit.fields["result"] ?? null) : "";
  const shown = hit.highlights.slice(0, 3);
  const more = hit.highlights.slice(3);
  const item = h("li", { class: "hit", tabindex: -1, "data-id": hit.id },
    h("h2", null, h("a", { href: caseLink(dataset.name, hit.id, q) }, cut(title || hit.id, 80))),
    h("p", { class: "meta" }, meta.map((m) => h("span", { class: `m-${m.name}` }, cut(m.text, 40)))),
    reasons(hit.reasons ?? hit.explanation),
    shown.map((p) => h("p", { class: "passage" }, source(dataset.name, hit.id, p), marked(p))),
    result && !shown.length ? h("p", { class: "passage" }, cut(result, 140)) : null);
  const foot = h("p", { class: "hit-foot" });
  if (more.length) {
    const button = h("button", { type: "button", class: "link", onclick: () => button.replaceWith(...more.map((p) => h("span", { class: "passage more" }, source(dataset.name, hit.id, p), marked(p)))) }, t(`还有 ${more.length} 处`, `${more.length} more`));
    foot.append(button);
  }
  foot.append(h("button", { type: "button", class: "link", onclick: () => similar(hit.id, title || hit.id) }, t("类似案件", "Similar")));
  item.append(foot);
  return item;
}

const MOST_FACETS = 8;

export function facetSection(dataset: DatasetView, name: string, values: { value: string; count: number; label?: string }[], chosen: string[], toggle: (value: string, on: boolean) => void): HTMLElement {
  const field = dataset.fields.find((f) => f.name === name);
  const row = (facet: { value: string; count: number; label?: string }) => h("label", null,
    h("input", { type: "checkbox", checked: chosen.includes(facet.value), onchange: (e: Event) => toggle(facet.value, (e.target as HTMLInputElement).checked) }),
    h("span", null, facet.label ?? nameOf(dataset, name, facet.value)), h("span", { class: "num" }, decimal(facet.count)));
  const section = h("section", null, h("h2", null, field?.label ?? name), values.slice(0, MOST_FACETS).map(row));
  const rest = values.slice(MOST_FACETS);
  if (rest.length) {
    const more = h("button", { type: "button", class: "link", onclick: () => more.replaceWith(...rest.map(row)) }, t(`更多（${rest.length}）`, `More (${rest.length})`));
    section.append(more);
  }
  return section;
}

/** Bars of hits over time; each is a button that narrows the search to it. */
export function histogram(buckets: Bucket[], choose: (from: string, to: string) => void): SVGElement {
  const width = 240;
  const height = 84;
  const most = Math.max(1, ...buckets.map((b) => b.count));
  const step = width / Math.max(1, buckets.length);
  const bars = buckets.map((bucket, i) => {
    const tall = bucket.count ? Math.max(2, (bucket.count / most) * (height - 24)) : 0;
    const label = bucket.from.slice(0, buckets.length > 1 && bucket.from.slice(5) === "01-01" ? 4 : 7);
    const group = svg("g", { class: "bar-group", tabindex: 0, role: "button", "aria-label": `${label} ${t("共", "")} ${bucket.count}` },
      svg("rect", { class: "hit-area", x: i * step, y: 0, width: step, height: height - 16 }),
      svg("rect", { class: "bar-fill", x: i * step + 1, y: height - 16 - tall, width: Math.max(1, step - 2), height: tall }));
    const tip = svg("title", {});
    tip.textContent = `${label}：${bucket.count}`;
    group.append(tip);
    group.addEventListener("click", () => choose(bucket.from, bucket.to));
    group.addEventListener("keydown", (e) => {
      if ((e as KeyboardEvent).key === "Enter" || (e as KeyboardEvent).key === " ") {
        e.preventDefault();
        choose(bucket.from, bucket.to);
      }
    });
    return group;
  });
  const text = (x: number, anchor: string, words: string) => {
    const el = svg("text", { x, y: height - 3, "text-anchor": anchor, class: "tick" });
    el.textContent = words;
    return el;
  };
  const first = buckets[0];
  const last = buckets[buckets.length - 1];
  const ticks = first && last ? [text(0, "start", first.from.slice(0, 7)), text(width, "end", last.from.slice(0, 7))] : [];
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": t("按时间分布", "Over time") }, ...bars, ...ticks);
}
