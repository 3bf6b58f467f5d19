// What the server answers, as the pages read it.
import type { Column, Format } from "./format.ts";
import type { Named } from "./i18n.ts";
import type { Row } from "./table.ts";

export interface Rows {
  columns: Column[];
  rows: Row[];
}

// ---- dashboard

export interface Filter {
  name: string;
  label: Named;
  kind: "one" | "many" | "period";
  values: string[];
  default?: string | string[] | null;
}

export interface Drill {
  name: string;
  description: string;
  key: string[];
}

export interface Item {
  name: string;
  label: Named;
  description?: Named | null;
  /** The declaration's name of the mart, where the item can be drilled. */
  mart?: string | null;
  drills?: Drill[];
}

export interface Figure extends Item {
  format: Format;
  good?: "up" | "down" | null;
}

export interface Chart extends Item {
  kind: "bar" | "line" | "curves" | "table";
  x?: string | null;
  y: string[];
  series?: string | null;
  format?: Format | null;
  formats?: Record<string, Format>;
  labels?: Record<string, Named>;
  /** Column → filter. */
  filter_on_click?: Record<string, string>;
  drill_key?: string[];
}

export interface Declaration {
  title: Named;
  currency: string;
  filters: Filter[];
  figures: Figure[];
  charts: Chart[];
  sections: { label: Named; items: string[] }[];
}

export interface ItemRows extends Rows {
  built_at?: string | null;
  loaded_at?: string | null;
  trend?: Rows | null;
}

// ---- records

/** One thing that a rule did to a record. */
export interface Repair {
  rule: string;
  what: "changed" | "absorbed" | "noted" | "rejected" | "merged";
  column?: string | null;
  before?: string | null;
  after?: string | null;
  absorbed?: string | null;
  code?: string | null;
  message?: string | null;
  confidence?: number | null;
}

export interface DrillRows extends Rows {
  description?: string | null;
  /** The column with the record's id, and its stream. */
  record?: string | null;
  stream?: string | null;
  total?: number | null;
  page?: number;
  page_size?: number;
  /** One list a row. */
  repairs?: Repair[][];
}

type Record_ = Record<string, unknown>;

export interface Story {
  stream: string;
  key: string;
  raw: Record_ | null;
  fate: string;
  steps: Record_[];
  merged_from: Record_[];
  clean: Record_ | null;
}

export interface Freshness {
  published_at?: string | null;
  streams?: { stream: string; loaded_at?: string | null; rows?: number; repaired?: number; rejected?: number }[];
  failing_tests?: unknown[];
}

// ---- operating

export type RunState = "queued" | "running" | "succeeded" | "partial" | "failed" | "cancelled" | "interrupted" | string;

export interface RunSummary {
  id: string;
  pipeline: string;
  state: RunState;
  trigger?: string | null;
  started_at?: string | null;
  finished_at?: string | null;
  seconds?: number | null;
  message?: string | null;
}

export interface PipelineEntry {
  name: string;
  path: string;
  schedule?: string | null;
  timezone?: string | null;
  next_run?: string | null;
  state: RunState;
  last_run?: RunSummary | null;
  alerts?: { on: string[]; url?: string }[];
  streams?: string[];
}

export interface GraphNode {
  id: string;
  kind: "source" | "stream" | "rule" | "model" | "seed" | "check" | string;
  name: string;
  state?: RunState | null;
  seconds?: number | null;
  rows?: number | null;
  description?: string | null;
  stream?: string | null;
}

export interface Graph {
  nodes: GraphNode[];
  edges: { from: string; to: string }[];
}

export interface RunStep {
  step: string;
  name: string;
  state?: RunState;
  rows_read?: number | null;
  rows_changed?: number | null;
  requests?: number | null;
  seconds?: number | null;
  attempts?: number | null;
}

export interface LogLine {
  run?: string;
  at?: string;
  level?: string;
  message: string;
}

export interface RunDetail extends RunSummary {
  steps: RunStep[];
  log: LogLine[];
  error?: { kind?: string; message: string; hint?: string | null } | null;
  report?: Record<string, unknown> | null;
}

export interface RunEvent {
  run: string;
  pipeline: string;
  state: RunState;
  message?: string | null;
}

export interface ProgressEvent {
  run?: string;
  pipeline?: string;
  event: "extract" | "clean" | "model";
  stream?: string;
  model?: string;
  rows?: number;
  total?: number | null;
  requests?: number;
  done?: boolean | number;
  of?: number;
}

export interface RunList {
  runs: RunSummary[];
  total?: number | null;
  page?: number;
  page_size?: number;
  has_more?: boolean;
}

export interface Preview {
  rule: string;
  stream: string;
  rows: number;
  changes: { key: string; column: string; before: string | null; after: string | null }[];
  remarks: { key: string; what: string; message: string }[];
  warnings?: string[];
}

// ---- browsing

export interface Model {
  model: string;
  kind: string;
  description?: string | null;
  tags: string[];
  reads: string[];
  read_by: string[];
  variables?: string[];
  columns: {
    name: string;
    type?: string | null;
    description?: string | null;
    formula_source?: string | null;
    tests?: string[];
  }[];
  tests: { name: string; severity: string }[];
  unit_tests: string[];
  drills: (string | { name: string })[];
  is_modified?: boolean;
  rows?: number | null;
  built_at?: string | null;
}

export interface PluginEntry {
  name: string;
  plugin?: string;
  version?: string | null;
  kind?: string;
  streams?: string[];
  needs?: { kind: string; name: string; details?: unknown; granted?: unknown }[];
  grants?: Record<string, unknown>;
  error?: { message: string; hint?: string | null } | null;
}

/** Rows of the journal, page by page. */
export interface Listing extends Rows {
  total?: number | null;
  page?: number;
  page_size?: number;
  has_more?: boolean;
  streams?: string[];
  rules?: string[];
}
