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
  description?: string | null;
}

interface Item_ {
  name: string;
  label: Named;
  description?: Named | null;
  drills: Drill[];
  /** Columns that narrow what is behind the item to one of its rows. */
  drill_key: string[];
  /** Filters that do not narrow it. */
  without: string[];
}

export interface Figure extends Item_ {
  kind: "figure";
  format: Format;
  good?: "up" | "down" | null;
}

export interface Chart extends Item_ {
  kind: "bar" | "line" | "curves" | "table";
  x?: string | null;
  y: string[];
  series?: string | null;
  format?: Format | null;
  formats?: Record<string, Format>;
  labels?: Record<string, Named>;
  /** Column → filter. */
  filter_on_click?: Record<string, string>;
}

export type Item = Figure | Chart;

export interface Declaration {
  title: Named;
  currency: string;
  filters: Filter[];
  sections: { label: Named; items: Item[] }[];
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
  /** The drill's columns that say which rows of the mart they belong to. */
  key: string[];
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

// ---- operating: the names of a run are those of the columns of `_host.runs`

/** `queued`, `running` and `stopping` while it lives; `ok`, `partial`, `failed`, `cancelled` or `interrupted` afterwards. */
export type Status = string;

export interface Run {
  run: string;
  pipeline: string;
  status: Status;
  /** `asked`, `schedule` or `resume`; none of a run of the command line. */
  cause?: string | null;
  started_at?: string | null;
  finished_at?: string | null;
  seconds?: number | null;
  message?: string | null;
  hint?: string | null;
}

export interface PipelineEntry {
  name: string;
  path: string;
  schedule?: string | null;
  timezone?: string | null;
  next_run?: string | null;
  /** Of the run that lives, or of the last; none before the first. */
  status: Status | null;
  /** The last run that began. */
  last_run: Run | null;
  /** The run that lives. */
  live: Run | null;
  alerts: { on: string[]; late_after_seconds?: number | null; threshold?: number | null }[];
}

/** What became of a stream or a model in a run. */
export interface NodeOutcome {
  /** `running`, `done`, `failed` or `stopped`. */
  status?: string | null;
  rows?: number | null;
  total?: number | null;
  seconds?: number | null;
}

export interface GraphNode extends NodeOutcome {
  id: string;
  kind: "source" | "stream" | "rule" | "model" | "seed" | "check" | string;
  name: string;
  /** What progress calls it: the rules of a stream share one. */
  step?: string;
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
  rows_read?: number | null;
  rows_changed?: number | null;
  requests?: number | null;
  seconds?: number | null;
}

export interface LogLine {
  line: number;
  at: string;
  level: string;
  message: string;
}

export interface RunDetail {
  run: Run;
  steps: RunStep[];
  log: LogLine[];
}

export interface LogEvent {
  run: string;
  pipeline: string;
  line: LogLine;
}

export interface ProgressEvent {
  run: string;
  pipeline: string;
  /** The step of the nodes that it is about. */
  id: string;
  node: NodeOutcome;
  progress: {
    event: "extract" | "clean" | "model";
    stream?: string;
    model?: string;
    rows?: number;
    total?: number | null;
    /** Whether the stream is, or how many models are. */
    done: boolean | number;
    of?: number;
  };
}

export interface RunList {
  runs: Run[];
  /** From 1 on. */
  page: number;
  page_size: number;
  total: number;
}

export interface Preview {
  rule: string;
  stream: string;
  rows: number;
  changes: { key: string; column: string; before: string | null; after: string | null }[];
  remarks: { key: string; what: string; message: string }[];
  warnings: string[];
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
  drills: string[];
  is_modified?: boolean;
  rows?: number | null;
  built_at?: string | null;
}

export interface PluginEntry {
  name: string;
  plugin: string;
  version?: string | null;
  /** `source` or `rule`. */
  contract?: string;
  streams?: string[] | null;
  needs?: { kind: string; name: string; details?: unknown }[];
  /** What it is granted, a line each; none where the pipeline could not be prepared. */
  granted: string[] | null;
  error?: { message: string; hint?: string | null } | null;
}

export interface Plugins {
  plugins: PluginEntry[];
  /** Why they cannot run together. */
  error: { message: string; hint?: string | null } | null;
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
