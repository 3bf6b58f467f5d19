// The button that runs a pipeline, and the window that asks how.
import { ApiError, get, post } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { button, fill, h } from "../dom.ts";
import { t } from "../i18n.ts";
import { navigate } from "../router.ts";
import { problem } from "../states.ts";
import type { Graph, PipelineEntry } from "../types.ts";
import { isActive } from "./status.ts";

/** What the server takes for a run. */
interface RunRequest {
  full_refresh?: boolean;
  since?: string;
  streams?: string[];
  from?: "clean" | "marts" | "failed";
}

const STARTS = ["all", "failed", "clean", "marts"] as const;

function requestOf(form: HTMLFormElement): RunRequest {
  const data = new FormData(form);
  const request: RunRequest = {};
  const from = String(data.get("from") ?? "all");
  if (from !== "all") request.from = from as "clean" | "marts" | "failed";
  if (data.get("full_refresh")) request.full_refresh = true;
  const since = String(data.get("since") ?? "");
  if (since) request.since = since;
  const streams = data.getAll("stream").map(String);
  const all = form.querySelectorAll('input[name="stream"]').length;
  if (streams.length > 0 && streams.length < all) request.streams = streams;
  return request;
}

async function streamsOf(entry: PipelineEntry): Promise<string[]> {
  try {
    const graph = await get<Graph>(`/api/pipelines/${encodeURIComponent(entry.name)}/graph`);
    return graph.nodes.filter((node) => node.kind === "stream").map((node) => node.name);
  } catch {
    return [];
  }
}

function open(entry: PipelineEntry): void {
  const dialog = openDialog(t("run_title", { pipeline: entry.name }), "small");
  const said = h("div", { "aria-live": "assertive" });
  const streams = h("div", { class: "choices-grid" });
  const reading = h(
    "div",
    { class: "form" },
    h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", name: "full_refresh", value: "1" }),
      t("full_refresh"),
    ),
    h("p", { class: "muted small" }, t("full_refresh_about")),
    h("label", {}, t("since"), h("input", { type: "date", name: "since", max: new Date().toISOString().slice(0, 10) })),
    h("details", {}, h("summary", {}, t("only_streams")), streams),
  );
  const start = h("button", { type: "submit", class: "button primary" }, t("run_start"));
  const form = h(
    "form",
    {
      class: "form",
      on: {
        change: () => {
          // A run from a later step asks no source, so there is nothing to choose of the sources.
          reading.hidden = !["all", "failed"].includes(String(new FormData(form).get("from")));
        },
        submit: (event) => {
          event.preventDefault();
          start.disabled = true;
          void post<{ run: string }>(`/api/pipelines/${encodeURIComponent(entry.name)}/runs`, requestOf(form)).then(
            (answer) => {
              dialog.close();
              navigate(`/runs/${encodeURIComponent(answer.run)}`);
            },
            (error: unknown) => {
              start.disabled = false;
              fill(said, problem(error instanceof Error ? error : new ApiError(0, "error", String(error))));
            },
          );
        },
      },
    },
    h(
      "fieldset",
      { class: "form tight" },
      h("legend", {}, t("run_from")),
      STARTS.map((name) =>
        h(
          "label",
          { class: "check" },
          h("input", { type: "radio", name: "from", value: name, checked: name === "all" }),
          t(`from_${name}`),
        ),
      ),
    ),
    reading,
    said,
    h(
      "div",
      { class: "actions" },
      start,
      button(t("cancel"), () => dialog.close()),
    ),
  );
  dialog.body.append(form);
  void streamsOf(entry).then((names) => {
    fill(
      streams,
      names.map((name) =>
        h("label", { class: "check" }, h("input", { type: "checkbox", name: "stream", value: name }), name),
      ),
    );
  });
}

/** `Run now…`, which opens the window; not while the pipeline runs. */
export function runForm(entry: PipelineEntry): HTMLButtonElement {
  return button(t("run_now"), () => open(entry), { class: "button primary", disabled: isActive(entry.status) });
}

/** Stops a run after asking. */
export function cancelButton(run: string): HTMLButtonElement {
  const made = button(
    t("cancel_run"),
    () => {
      made.disabled = true;
      post(`/api/runs/${encodeURIComponent(run)}/cancel`).then(
        () => {
          made.textContent = t("cancelling");
        },
        (error: unknown) => {
          made.disabled = false;
          const dialog = openDialog(t("error"), "small");
          dialog.body.append(problem(error));
        },
      );
    },
    { class: "button danger" },
  );
  return made;
}
