// The shapes of the server's answers, as far as the pages read them.
import type { AlertCondition, NodeKind, NodeStatus, RuleOutcome, RunStatus, StepName, Trigger } from "./codes.ts";
import type { Column, Format } from "./format.ts";
import type { LocalizedText } from "./i18n.ts";
import type { Row } from "./table.ts";

export interface Rows {
  columns: Column[];
  rows: Row[];
}

// ---- Dashboard

export interface Filter {
  name: string;
  label: LocalizedText;
  /** `one` takes one value, `many` a list of values, `period` a first and a last month. */
  kind: "one" | "many" | "period";
  values: string[];
  default?: string | string[] | null;
}

export interface Drill {
  name: string;
  description?: string | null;
}

interface ItemBase {
  name: string;
  label: LocalizedText;
  description?: LocalizedText | null;
  drills: Drill[];
  /** Columns that select one row of the item when its drills are opened. */
  drill_key: string[];
  /** Filters that do not apply to the item. */
  without: string[];
}

export interface Figure extends ItemBase {
  kind: "figure";
  format: Format;
  /** Which direction is an improvement. */
  good?: "up" | "down" | null;
}

export interface Chart extends ItemBase {
  kind: "bar" | "line" | "curves" | "table";
  x?: string | null;
  y: string[];
  series?: string | null;
  format?: Format | null;
  formats?: Record<string, Format>;
  labels?: Record<string, LocalizedText>;
  /** Column → name of the filter that a click sets. */
  filter_on_click?: Record<string, string>;
}

export type Item = Figure | Chart;

export interface DashboardDeclaration {
  title: LocalizedText;
  currency: string;
  filters: Filter[];
  sections: { label: LocalizedText; items: Item[] }[];
}

export interface ItemRows extends Rows {
  built_at?: string | null;
  loaded_at?: string | null;
  trend?: Rows | null;
}

// ---- Records

/** One action of a rule on a record. */
export interface Repair {
  rule: string;
  what: RuleOutcome | "changed" | "absorbed";
  column?: string | null;
  before?: string | null;
  after?: string | null;
  /** The key of the record that was merged into this one. */
  absorbed?: string | null;
  code?: string | null;
  message?: string | null;
  /** From 0 to 1. */
  confidence?: number | null;
}

export interface DrillRows extends Rows {
  description?: string | null;
  /** The column with the key of the record behind the row. */
  record?: string | null;
  /** The stream of that record. */
  stream?: string | null;
  total?: number | null;
  page?: number;
  page_size?: number;
  /** One list for each row. */
  repairs?: Repair[][];
}

type FieldValues = Record<string, unknown>;

/** The history of one record. */
export interface RecordHistory {
  stream: string;
  key: string;
  raw: FieldValues | null;
  steps: FieldValues[];
  /** Records that were merged into this one. */
  merged_from: FieldValues[];
  clean: FieldValues | null;
}

export interface Freshness {
  published_at?: string | null;
  streams?: { stream: string; loaded_at?: string | null; rows?: number; repaired?: number; rejected?: number }[];
  failing_tests?: string[];
}

// ---- Pipelines and runs; a run has the names of the columns of `_host.runs`

export interface Run {
  run: string;
  pipeline: string;
  status: RunStatus;
  /** The trigger; empty for a run of the command line. */
  cause?: Trigger | null;
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
  /** The status of the active run, else of the last run; null before the first run. */
  status: RunStatus | null;
  /** The last run that started. */
  last_run: Run | null;
  /** The active run. */
  live: Run | null;
  alerts: { on: AlertCondition[] }[];
}

/** What a run did with a stream or a model. */
export interface NodeProgress {
  status?: NodeStatus | null;
  rows?: number | null;
  total?: number | null;
  seconds?: number | null;
}

export interface GraphNode extends Omit<NodeProgress, "status"> {
  id: string;
  kind: NodeKind;
  name: string;
  /** `modified`: the model's file changed since its build. */
  status?: NodeStatus | "modified" | null;
  /** The step id in progress events; the rules of a stream share one. */
  step?: string;
  description?: string | null;
  stream?: string | null;
}

export interface Graph {
  nodes: GraphNode[];
  edges: { from: string; to: string }[];
}

export interface RunStep {
  step: StepName;
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
  /** The step id of the nodes that the event is about. */
  id: string;
  node: NodeProgress;
  progress: {
    event: "extract" | "clean" | "model";
    stream?: string;
    model?: string;
    rows?: number;
    total?: number | null;
    /** Whether the stream is finished, or the number of finished models. */
    done: boolean | number;
    /** The number of all models. */
    of?: number;
  };
}

export interface RunList {
  runs: Run[];
  /** Starts at 1. */
  page: number;
  page_size: number;
  total: number;
}

export interface RulePreview {
  rule: string;
  stream: string;
  rows: number;
  changes: { key: string; column: string; before: string | null; after: string | null }[];
  remarks: { key: string; what: "rejected" | "note" | "merged"; message: string }[];
  warnings: string[];
}

// ---- Models, plugins and the journal

export interface Model {
  model: string;
  kind: NodeKind;
  description?: string | null;
  tags: string[];
  reads: string[];
  read_by: string[];
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

/** Access that a plugin requests; `details` depends on the kind. */
export interface PluginNeed {
  kind: string;
  name: string;
  details?: Record<string, unknown> | null;
}

export interface PluginEntry {
  name: string;
  plugin: string;
  version?: string | null;
  contract?: "source" | "rule";
  streams?: string[] | null;
  needs?: PluginNeed[];
  /** One line for each grant; null where the pipeline cannot be prepared. */
  granted: string[] | null;
  error?: { message: string; hint?: string | null } | null;
}

export interface PluginList {
  plugins: PluginEntry[];
  /** Why the plugins cannot run together. */
  error: { message: string; hint?: string | null } | null;
}

/** One page of the journal of the rules. */
export interface JournalRows extends Rows {
  total?: number | null;
  page?: number;
  page_size?: number;
  has_more?: boolean;
  streams?: string[];
  rules?: string[];
}
