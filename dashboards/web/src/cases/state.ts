// The page's address holds the whole search, so that a link brings it back.

import type { DatasetView, Json } from "../lib/types";
import type { State } from "./types";

export function read(datasets: DatasetView[]): State {
  const params = new URLSearchParams(location.search);
  const dataset = datasets.find((d) => d.name === params.get("dataset")) ?? datasets[0];
  const filters = new Map<string, string[]>();
  for (const [key, value] of params) if (key.startsWith("f.")) filters.set(key.slice(2), [...(filters.get(key.slice(2)) ?? []), value]);
  return {
    dataset: dataset?.name ?? "",
    q: params.get("q") ?? "",
    within: params.getAll("w"),
    sort: params.get("sort") ?? "relevance",
    offset: Math.max(0, Number(params.get("offset") ?? 0) || 0),
    filters,
    from: params.get("from") ?? "",
    to: params.get("to") ?? "",
  };
}

export function address(state: State): string {
  const params = new URLSearchParams();
  params.set("dataset", state.dataset);
  if (state.q) params.set("q", state.q);
  for (const query of state.within) params.append("w", query);
  for (const [field, values] of state.filters) for (const value of values) params.append(`f.${field}`, value);
  if (state.from) params.set("from", state.from);
  if (state.to) params.set("to", state.to);
  if (state.sort !== "relevance") params.set("sort", state.sort);
  if (state.offset > 0) params.set("offset", String(state.offset));
  return `/cases?${params}`;
}

/** The filter tree of the API. */
export function filterTree(state: State, dataset: DatasetView): Json {
  const all: Json[] = [...state.filters].map(([field, values]) => ({ [field]: { in: values } }));
  if (dataset.time && (state.from || state.to)) {
    const range: Record<string, Json> = {};
    if (state.from) range["gte"] = state.from;
    if (state.to) range["lt"] = state.to;
    all.push({ [dataset.time]: range });
  }
  return all.length ? { and: all } : {};
}

/** Facets are short lists: codes, regions, and keywords that are no identifiers. */
export function facetFields(dataset: DatasetView): string[] {
  const order = ["court", "level", "district", "charges", "charge", "cause", "procedure", "kind"];
  const fields = dataset.fields.filter((f) => f.search === "keyword" && f.sensitivity !== "personal" && f.sensitivity !== "secret" && !dataset.key.includes(f.name) && f.name !== dataset.title && f.type !== "ref" && !/_number$/.test(f.name));
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return fields.map((f) => f.name).sort((a, b) => rank(a) - rank(b)).slice(0, 8);
}

export function request(state: State, dataset: DatasetView): Record<string, Json> {
  return { dataset: state.dataset, query: state.q, within: state.within, filters: filterTree(state, dataset), sort: state.sort };
}
