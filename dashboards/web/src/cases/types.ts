// What the search API answers.

import type { Json } from "../lib/types";

export interface Passage {
  field: string;
  text: string;
  marks: [number, number][];
  offset: number;
  /** The attached file that it is from. */
  file?: { id: number; name: string };
}

export interface Reason {
  kind: string;
  text: string;
  score: number;
}

export interface Hit {
  id: string;
  score: number;
  fields: Record<string, Json>;
  highlights: Passage[];
  explanation?: Reason[];
  reasons?: Reason[];
}

export interface QueryProblem {
  from: number;
  to: number;
  message: string;
  hint: string;
}

export interface Bucket {
  from: string;
  to: string;
  count: number;
}

export interface SearchPage {
  total: number;
  hits: Hit[];
  facets: Record<string, { value: string; count: number; label?: string }[]>;
  histogram?: Bucket[];
  problems?: QueryProblem[];
}

export interface Chip {
  kind: string;
  text: string;
  label: string;
}

export interface ParsedQuery {
  query: string;
  chips: Chip[];
  problems: QueryProblem[];
}

export interface Suggestion {
  text: string;
  kind: string;
  field?: string;
  count?: number;
}

export interface Correction {
  query: string;
  changes: { from: string; to: string; by: string; count: number }[];
}

export interface SavedSearch {
  id: number;
  name: string;
  request: { dataset: string; query: string; within: string[]; filters: Json; sort: string | null };
  alert: boolean;
  total: number;
  note: string | null;
  expires_at: number | null;
  run_at: number;
}

/** What a search asks, as the address of the page holds it. */
export interface State {
  dataset: string;
  q: string;
  within: string[];
  sort: string;
  offset: number;
  filters: Map<string, string[]>;
  /** First day and first day after, of the event time. */
  from: string;
  to: string;
}
