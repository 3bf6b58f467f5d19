// The button that runs a pipeline, with a dialog for the options, and the button that cancels a run.
import { ApiError, get, post } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { button, fill, h } from "../dom.ts";
import { t } from "../i18n.ts";
import { navigate } from "../router.ts";
import { problem } from "../states.ts";
import type { Graph, PipelineEntry } from "../types.ts";
import { isActive } from "./status.ts";

/** The body of a request to start a run. */
interface RunRequest {
  full_refresh?: boolean;
  since?: string;
  streams?: string[];
  from?: "clean" | "marts" | "failed";
}

const STARTS = ["all", "failed", "clean", "marts"] as const;

function readRequest(form: HTMLFormElement): RunRequest {
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

async function readStreams(entry: PipelineEntry): Promise<string[]> {
  try {
    const graph = await get<Graph>(`/api/pipelines/${encodeURIComponent(entry.name)}/graph`);
    return graph.nodes.filter((node) => node.kind === "stream").map((node) => node.name);
  } catch {
    return [];
  }
}

function openForm(entry: PipelineEntry): void {
  const dialog = openDialog(t("run_title", { pipeline: entry.name }), "small");
  const errorPlace = h("div", { "aria-live": "assertive" });
  const streams = h("div", { class: "choices-grid" });
  const loadOptions = h(
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
  const submit = h("button", { type: "submit", class: "button primary" }, t("start_run"));
  const form = h(
    "form",
    {
      class: "form",
      on: {
        change: () => {
          // A run that starts at a later step does not load, so its load options have no effect.
          loadOptions.hidden = !["all", "failed"].includes(String(new FormData(form).get("from")));
        },
        submit: (event) => {
          event.preventDefault();
          submit.disabled = true;
          void post<{ run: string }>(`/api/pipelines/${encodeURIComponent(entry.name)}/runs`, readRequest(form)).then(
            (started) => {
              dialog.close();
              navigate(`/runs/${encodeURIComponent(started.run)}`);
            },
            (error: unknown) => {
              submit.disabled = false;
              fill(errorPlace, problem(error instanceof Error ? error : new ApiError(0, "error", String(error))));
            },
          );
        },
      },
    },
    h(
      "fieldset",
      { class: "form tight" },
      h("legend", {}, t("start_from")),
      STARTS.map((name) =>
        h(
          "label",
          { class: "check" },
          h("input", { type: "radio", name: "from", value: name, checked: name === "all" }),
          t(`from_${name}`),
        ),
      ),
    ),
    loadOptions,
    errorPlace,
    h(
      "div",
      { class: "actions" },
      submit,
      button(t("cancel"), () => dialog.close()),
    ),
  );
  dialog.body.append(form);
  void readStreams(entry).then((names) => {
    fill(
      streams,
      names.map((name) =>
        h("label", { class: "check" }, h("input", { type: "checkbox", name: "stream", value: name }), name),
      ),
    );
  });
}

/** The button that opens the dialog; disabled while the pipeline has an active run. */
export function runButton(entry: PipelineEntry): HTMLButtonElement {
  return button(t("run_now"), () => openForm(entry), { class: "button primary", disabled: isActive(entry.status) });
}

/** The button that cancels a run. */
export function cancelButton(run: string): HTMLButtonElement {
  const cancel = button(
    t("cancel_run"),
    () => {
      cancel.disabled = true;
      post(`/api/runs/${encodeURIComponent(run)}/cancel`).then(
        () => {
          cancel.textContent = t("cancelling");
        },
        (error: unknown) => {
          cancel.disabled = false;
          const dialog = openDialog(t("error"), "small");
          dialog.body.append(problem(error));
        },
      );
    },
    { class: "button danger" },
  );
  return cancel;
}
