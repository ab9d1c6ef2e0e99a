// What the API and the pages' data blocks hold.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Cell = Record<string, Json>;

export interface FieldView {
  name: string;
  label: string;
  type: "text" | "code" | "int" | "decimal" | "bool" | "date" | "instant" | "point" | "region" | "file" | "ref";
  required: boolean;
  unit: string;
  search: "none" | "keyword" | "zh";
  sensitivity: "public" | "internal" | "personal" | "secret";
  level: string | null;
  basis: string;
  help: string;
  section: string;
  scale: number;
  min: number | null;
  max: number | null;
  max_length: number | null;
  codes: [string, string][];
  by_action: boolean;
  default: Json;
  format: string | null;
  shown_when: Json;
  required_when: { [key: string]: Json };
  refers: string | null;
}

export interface MeasureView {
  name: string;
  label: string;
  unit: string;
  definition: string;
  direction: "higher_is_better" | "lower_is_better" | "neutral";
}

export interface DatasetView {
  name: string;
  label: string;
  source: "records" | "import";
  register: boolean;
  time: string | null;
  region: string | null;
  key: string[];
  title: string | null;
  list: string[];
  parent: [string, string] | null;
  fields: FieldView[];
  measures: MeasureView[];
  lifecycle: string[];
  stage_field: string | null;
  /** Stages in which nothing is left to do. */
  last_stages: string[];
  /** Names and labels of the actions. */
  actions: [string, string][];
  attachments: { kinds: [string, string][] } | null;
  grid: { building: string; floor: string; unit: string; status: string; tags: string[] } | null;
}

export interface Range {
  from?: string;
  to?: string;
  last?: string;
  this?: string;
  previous?: string;
}

export type Dim = string | { time: string; field?: string } | { field: string; level: string };

export interface Query {
  dataset: string;
  measures?: string[];
  by?: Dim[];
  rows?: string[];
  where?: { [key: string]: Json };
  range?: Range;
  compare?: string;
  calc?: Calc[];
  totals?: boolean;
  pivot?: string;
  having?: { [key: string]: Json };
  order?: string[];
  limit?: number;
  cursor?: string | null;
}

/** A figure of one's own: an expression over the measures of the query. */
export interface Calc {
  name: string;
  expr: string;
  label?: string;
  unit?: string;
  digits?: number;
}

export interface Column {
  pivot?: Json;
  name: string;
  type: string;
  unit: string;
  label?: string;
  labels?: Record<string, string>;
}

export interface Table {
  columns: Column[];
  rows: Json[][];
  totals?: Record<string, Json>;
  meta: { data_version?: Record<string, number>; rows_scanned?: number; notes?: { code: string; measure: string; version: number; zh: string; en: string }[]; total?: number; cursor?: string; watermark?: number; suppressed?: number; engine?: string; rollup?: string; times?: Record<string, number> };
}

export interface Drill {
  kind: "finer" | "coarser" | "time" | "dimension" | "rows" | "definition";
  label: string;
  query: Query;
  href: string;
}
