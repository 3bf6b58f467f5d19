// The state of a run or a step, in words and with a colour that the words do not depend on.
import { h } from "../dom.ts";
import { has, t } from "../i18n.ts";

const TONES: Record<string, string> = {
  running: "accent",
  queued: "accent",
  succeeded: "good",
  done: "good",
  partial: "warn",
  interrupted: "warn",
  cancelled: "warn",
  skipped: "warn",
  failed: "bad",
};

export function stateText(state: string): string {
  const key = `state_${state}`;
  return has(key) ? t(key) : state.replaceAll("_", " ");
}

export function stateBadge(state: string): HTMLElement {
  return h("span", { class: `badge ${TONES[state] ?? ""}`, "data-state": state }, stateText(state));
}

/** Whether the run goes on. */
export function isActive(state: string | null | undefined): boolean {
  return state === "running" || state === "queued" || state === "cancelling" || state === "waiting";
}
