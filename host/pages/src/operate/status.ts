// The badge of a run's status, with a color that only repeats the words.
import type { RunStatus } from "../codes.ts";
import { h } from "../dom.ts";
import { runStatusLabel } from "../labels.ts";

const TONES: Record<RunStatus | "never", "accent" | "good" | "warn" | "bad" | ""> = {
  queued: "accent",
  running: "accent",
  stopping: "warn",
  ok: "good",
  partial: "warn",
  interrupted: "warn",
  cancelled: "warn",
  failed: "bad",
  never: "",
};

export function statusBadge(status: RunStatus | "never"): HTMLElement {
  return h("span", { class: `badge ${TONES[status] ?? ""}`, "data-status": status }, runStatusLabel(status));
}

/** Whether a run of this status is queued or under way. */
export function isActive(status: RunStatus | null): boolean {
  return status === "queued" || status === "running" || status === "stopping";
}
