// The page of one pipeline: run and cancel buttons, schedule, alerts, its graph with the progress of a run, its runs.
import { ApiError, get } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { fill, h, link } from "../dom.ts";
import { listen, onReconnect } from "../events.ts";
import { formatAgo, formatCount, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import { alertLabel, nodeStatusLabel, runStatusLabel } from "../labels.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background, settle } from "../states.ts";
import type { Graph, GraphNode, PipelineEntry, Run } from "../types.ts";
import { readPipelines } from "./entries.ts";
import { followRun } from "./follow.ts";
import { cancelButton, runButton } from "./form.ts";
import { drawGraph } from "./graph.ts";
import { preview } from "./preview.ts";
import { runTable } from "./runs.ts";
import { isActive, statusBadge } from "./status.ts";

async function readPipeline(name: string, signal: AbortSignal): Promise<PipelineEntry> {
  const all = await readPipelines(signal);
  const found = all.find((entry) => entry.name === name);
  if (!found)
    throw new ApiError(
      404,
      "not_found",
      t("pipeline_not_found", { name }),
      t("pipeline_not_found_hint", { names: all.map((entry) => entry.name).join(", ") }),
    );
  return found;
}

function head(entry: PipelineEntry): (HTMLElement | null)[] {
  const last = entry.last_run;
  const active = entry.live;
  return [
    h(
      "div",
      { class: "page-head" },
      h("div", { class: "title-line" }, h("h1", {}, entry.name), statusBadge(entry.status ?? "never")),
      h(
        "div",
        { class: "actions" },
        runButton(entry),
        active ? link(`/runs/${encodeURIComponent(active.run)}`, t("open_run"), { class: "button" }) : null,
        active ? cancelButton(active.run) : null,
      ),
    ),
    h(
      "dl",
      { class: "facts card" },
      h("dt", {}, t("file")),
      h("dd", { class: "code" }, entry.path),
      h("dt", {}, t("schedule")),
      h(
        "dd",
        {},
        entry.schedule
          ? [h("span", { class: "code" }, entry.schedule), entry.timezone ? ` ${entry.timezone}` : ""]
          : t("not_scheduled"),
      ),
      entry.next_run
        ? [h("dt", {}, t("next_run")), h("dd", {}, `${formatTime(entry.next_run)} (${formatAgo(entry.next_run)})`)]
        : null,
      h("dt", {}, t("last_run")),
      h(
        "dd",
        {},
        last
          ? [
              link(`/runs/${encodeURIComponent(last.run)}`, last.started_at ? formatTime(last.started_at) : last.run),
              ` · ${runStatusLabel(last.status)}`,
              last.seconds ? ` · ${formatSeconds(last.seconds)}` : "",
            ]
          : t("never"),
      ),
      h("dt", {}, t("alerts")),
      h(
        "dd",
        {},
        entry.alerts.length > 0
          ? entry.alerts.map((alert) => h("div", {}, alert.on.map(alertLabel).join(", ")))
          : t("no_alerts"),
      ),
    ),
  ];
}

function openNode(entry: PipelineEntry, node: GraphNode): void {
  const dialog = openDialog(node.name, "side");
  // A run of the command line records rows and durations, and no statuses of nodes.
  const hasResult = (node.rows ?? node.seconds ?? null) !== null;
  const stream = node.stream ?? (node.kind === "stream" ? node.name : null);
  fill(
    dialog.body,
    h(
      "dl",
      { class: "facts" },
      node.status || !hasResult
        ? [h("dt", {}, t("status")), h("dd", {}, node.status ? nodeStatusLabel(node.status) : runStatusLabel("never"))]
        : null,
      node.rows !== null && node.rows !== undefined
        ? [h("dt", {}, t("rows")), h("dd", {}, formatCount(node.rows))]
        : null,
      node.seconds !== null && node.seconds !== undefined
        ? [h("dt", {}, t("duration")), h("dd", {}, formatSeconds(node.seconds))]
        : null,
      node.description ? [h("dt", {}, t("description")), h("dd", {}, node.description)] : null,
    ),
    node.kind === "rule" && stream ? preview(entry.name, stream, node.name, dialog.signal) : null,
    h(
      "p",
      { class: "actions" },
      node.kind === "rule" && stream
        ? link(
            `/changes?stream=${encodeURIComponent(stream)}&rule=${encodeURIComponent(node.name)}`,
            t("changes_of_rule"),
            { class: "button" },
          )
        : null,
      node.kind === "stream"
        ? link(`/changes?stream=${encodeURIComponent(stream ?? node.name)}`, t("changes"), { class: "button" })
        : null,
      node.kind === "model"
        ? link(`/models?model=${encodeURIComponent(node.name)}`, t("open_model"), { class: "button" })
        : null,
    ),
  );
  // A link leads to another page, so the panel closes.
  dialog.body.addEventListener("click", (event) => {
    if (event.target instanceof HTMLAnchorElement) dialog.close();
  });
}

export async function pipeline({ params, signal }: Visit): Promise<Page> {
  const name = params.name ?? "";
  let entry = await readPipeline(name, signal);
  const top = h("div", { class: "stack" });
  const runs = h("div", {});
  const graphContainer = h("div", {});
  fill(top, head(entry));
  const refreshGraph = (): Promise<void> =>
    settle(graphContainer, signal, async () => {
      const graph = await get<Graph>(`/api/pipelines/${encodeURIComponent(name)}/graph`, {}, signal);
      const view = drawGraph(graph, t("data_flow_of", { name }), (node) => openNode(entry, node));
      followRun(name, graph, view, signal);
      return view.node;
    });
  const refresh = async (): Promise<void> => {
    entry = await readPipeline(name, signal);
    fill(top, head(entry));
    void settle(runs, signal, () => runTable(name, signal));
  };
  void refreshGraph();
  void settle(runs, signal, () => runTable(name, signal));
  listen<Run>(
    "run",
    (event) => {
      if (event.pipeline !== name) return;
      const hasChanged = event.status !== (entry.live?.status ?? entry.status);
      if (hasChanged) announce(t("run_changed", { pipeline: name, status: runStatusLabel(event.status) }));
      background(refresh(), signal);
      if (!isActive(event.status)) void refreshGraph();
    },
    signal,
  );
  onReconnect(() => {
    background(refresh(), signal);
    void refreshGraph();
  }, signal);
  const node = h(
    "div",
    { class: "stack" },
    top,
    h("section", { class: "section" }, h("h2", {}, t("data_flow")), graphContainer),
    h("section", { class: "section" }, h("h2", {}, t("runs")), runs),
  );
  return { title: name, node };
}
