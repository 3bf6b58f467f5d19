// The status of a run or the state of a node, in words and with a colour that the words do not depend on.
import { h } from "../dom.ts";
import { has, t } from "../i18n.ts";

const TONES: Record<string, string> = {
  running: "accent",
  queued: "accent",
  stopping: "warn",
  ok: "good",
  done: "good",
  partial: "warn",
  interrupted: "warn",
  cancelled: "warn",
  stopped: "warn",
  failed: "bad",
};

export function stateText(state: string): string {
  const key = `state_${state}`;
  return has(key) ? t(key) : state.replaceAll("_", " ");
}

export function stateBadge(state: string): HTMLElement {
  return h("span", { class: `badge ${TONES[state] ?? ""}`, "data-state": state }, stateText(state));
}

/** Whether a run of this status lives. */
export function isActive(status: string | null): boolean {
  return status === "queued" || status === "running" || status === "stopping";
}
