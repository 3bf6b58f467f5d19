// Labels of the server's codes. This is the only file that turns a code into words.
import type {
  AlertCondition,
  NodeKind,
  NodeStatus,
  RecordOutcome,
  RuleOutcome,
  RunStatus,
  StepName,
  Trigger,
} from "./codes.ts";
import { hasText, humanize, type TextKey, t } from "./i18n.ts";

/** The text of `key`. A code from a newer version has no text and is shown as words. */
function label(key: TextKey, code: string): string {
  return hasText(key) ? t(key) : humanize(code);
}

/** The status of a run; `never` is the status of a pipeline before its first run. */
export function runStatusLabel(status: RunStatus | "never"): string {
  return label(`run_status_${status}`, status);
}

/** The status of a stream, a rule or a model in a run; `modified` marks a model whose file changed since its build. */
export function nodeStatusLabel(status: NodeStatus | "modified"): string {
  return label(`node_status_${status}`, status);
}

/** The status of a figure: why it has no value. A dashboard's SQL may return a status without a text. */
export function figureStatusLabel(status: string): string {
  const key = `figure_status_${status}`;
  return hasText(key) ? t(key) : humanize(status);
}

/** What started a run. */
export function triggerLabel(trigger: Trigger): string {
  return label(`trigger_${trigger}`, trigger);
}

/** A step of a run. */
export function stepLabel(step: StepName): string {
  return label(`step_${step}`, step);
}

/** When an alert is sent. */
export function alertLabel(condition: AlertCondition): string {
  return label(`alert_${condition}`, condition);
}

/** What a node of a graph is; also what a plugin is, and how a model is stored. */
export function kindLabel(kind: NodeKind): string {
  return label(`kind_${kind}`, kind);
}

/** What one rule, or all rules together, did with a record. */
export function outcomeLabel(outcome: RuleOutcome | RecordOutcome): string {
  return label(`outcome_${outcome}`, outcome);
}

/** A kind of access that a plugin requests. A plugin may request a kind without a text. */
export function needLabel(kind: string): string {
  const key = `need_${kind.replaceAll("-", "_")}`;
  return hasText(key) ? t(key) : humanize(kind);
}
