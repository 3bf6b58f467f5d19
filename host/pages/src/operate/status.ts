// The status of a run or of a node, in words and with a colour that the words do not depend on.
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

export function statusText(status: string): string {
  const key = `status_${status}`;
  return has(key) ? t(key) : status.replaceAll("_", " ");
}

export function statusBadge(status: string): HTMLElement {
  return h("span", { class: `badge ${TONES[status] ?? ""}`, "data-status": status }, statusText(status));
}

/** Whether a run of this status lives. */
export function isActive(status: string | null): boolean {
  return status === "queued" || status === "running" || status === "stopping";
}
