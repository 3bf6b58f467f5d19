// The server's codes for statuses, triggers, steps, kinds and outcomes. `labels.ts` has the words for each.

/** The first three are statuses of an active run, the others of a finished run. */
export type RunStatus = "queued" | "running" | "stopping" | "ok" | "partial" | "failed" | "cancelled" | "interrupted";

/** What started a run. */
export type Trigger = "asked" | "schedule" | "resume";

/** A step of a run. */
export type StepName = "extract" | "clean" | "marts";

/** When an alert is sent. */
export type AlertCondition = "failure" | "recovery" | "late" | "quality";

/** What a run did with a stream or a model. */
export type NodeStatus = "running" | "done" | "failed" | "stopped";

/** What a node of a graph is; the kinds from `seed` on say how a model is stored. */
export type NodeKind =
  | "source"
  | "stream"
  | "rule"
  | "model"
  | "seed"
  | "view"
  | "table"
  | "incremental"
  | "snapshot"
  | "check";

/** What a rule did with a record. */
export type RuleOutcome = "merged" | "rejected" | "noted";

/** What all rules together did with a record; `gone`: it is in the source, and not in the cleaned data. */
export type RecordOutcome = "clean" | "merged" | "rejected" | "gone";
