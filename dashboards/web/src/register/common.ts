// What the pages of registers share: the page's definition, records, their texts.

import { pageData, t } from "../lib/dom";
import { decimal, minute } from "../lib/format";
import type { DatasetView, FieldView, Json } from "../lib/types";

export interface Offered {
  name: string;
  zh: string;
  en: string;
  input: string[];
  require: string[];
  reason: boolean;
  names_fields: boolean;
  needs_file: boolean;
}

export interface RecordOut {
  id: string;
  version: number;
  state: string;
  fields: Record<string, Json>;
  masked: string[];
  created_at: string;
  updated_at: string;
  created_by: string;
  updated_by: string;
  actions?: Offered[];
  editable: boolean;
}

export interface RecordList {
  records: RecordOut[];
  total: { value: number; exact: boolean };
  cursor?: string;
}

export interface Page {
  dataset: DatasetView;
  children?: DatasetView[];
  id?: string | null;
  mayWrite?: boolean;
  mayImport?: boolean;
  mayExport?: boolean;
  supervises?: boolean;
  user?: string;
  parent?: { field: string; key: string; dataset: string | null } | null;
}

export const page = pageData<Page>();
export const dataset = page.dataset;
export const STATES: Record<string, string> = { open: t("有效", "open"), closed: t("已注销", "closed") };
export const REMARKS = "return_remarks";
export const path = (name: string, id?: string): string => `/api/v1/records/${encodeURIComponent(name)}${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;
export const fieldOf = (set: DatasetView, name: string): FieldView | undefined => set.fields.find((f) => f.name === name);

/** A value as people read it. */
export function text(set: DatasetView, name: string, value: Json): string {
  const field = fieldOf(set, name);
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
  if (field?.type === "instant") return minute(String(value));
  if (Array.isArray(value)) return value.map((v) => (typeof v === "number" ? v.toFixed(5) : String(v))).join(", ");
  const coded = field?.codes.find(([c]) => c === value)?.[1];
  if (coded) return coded;
  return typeof value === "number" ? decimal(value, field?.scale ?? 0) + (field?.unit ? ` ${field.unit}` : "") : String(value);
}

/** Whether values meet a filter of a definition: the operators that forms need. */
export function meets(filter: Json | undefined, values: (name: string) => Json): boolean {
  if (!filter || typeof filter !== "object" || Array.isArray(filter)) return true;
  return Object.entries(filter).every(([name, inner]) => {
    if (name === "and" && Array.isArray(inner)) return inner.every((f) => meets(f, values));
    if (name === "or" && Array.isArray(inner)) return inner.some((f) => meets(f, values));
    if (name === "not") return !meets(inner, values);
    if (!inner || typeof inner !== "object" || Array.isArray(inner)) return true;
    const value = values(name);
    const known = value !== null && value !== undefined && value !== "";
    return Object.entries(inner).every(([op, want]) => {
      const list = Array.isArray(want) ? want.map(String) : [];
      switch (op) {
        case "eq": return known && String(value) === String(want);
        case "ne": return !known || String(value) !== String(want);
        case "in": return known && list.includes(String(value));
        case "not_in": return !known || !list.includes(String(value));
        case "gt": return known && Number(value) > Number(want);
        case "gte": return known && Number(value) >= Number(want);
        case "lt": return known && Number(value) < Number(want);
        case "lte": return known && Number(value) <= Number(want);
        case "prefix": return known && String(value).startsWith(String(want));
        case "is_null": return known !== Boolean(want);
        default: return true;
      }
    });
  });
}

/** What a return asks to correct, by field. */
export function remarksOf(record: RecordOut | null): Record<string, string> {
  try {
    return JSON.parse(String(record?.fields[REMARKS] ?? "{}")) as Record<string, string>;
  } catch {
    return {};
  }
}

/** The stage of a record as a mark. */
export function stageOf(set: DatasetView, record: RecordOut): { label: string; tone: string } {
  if (record.state !== "open") return { label: STATES[record.state] ?? record.state, tone: "flat" };
  const name = set.stage_field;
  const stage = name ? record.fields[name] : null;
  if (!name || typeof stage !== "string") return { label: STATES[record.state] ?? record.state, tone: "good" };
  const tone = stage === "returned" ? "bad" : set.last_stages.includes(stage) ? "good" : "warn";
  return { label: text(set, name, stage), tone };
}
