// One pipeline: its graph with what the last run did, live while one runs; run, cancel, schedule, alerts, runs.

import { ApiError, get } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { fill, h, link } from "../dom.ts";
import { listen, onBack } from "../events.ts";
import { formatAgo, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background, settle } from "../states.ts";
import type { Graph, GraphNode, PipelineEntry, Run } from "../types.ts";
import { cancelButton, runForm } from "./form.ts";
import { drawGraph } from "./graph.ts";
import { followGraph } from "./live.ts";
import { preview } from "./preview.ts";
import { runTable } from "./runs.ts";
import { servedPipelines } from "./served.ts";
import { isActive, statusBadge, statusText } from "./status.ts";

async function find(name: string, signal: AbortSignal): Promise<PipelineEntry> {
  const all = await servedPipelines(signal);
  const found = all.find((entry) => entry.name === name);
  if (!found)
    throw new ApiError(
      404,
      "not_found",
      t("no_pipeline", { name }),
      t("no_pipeline_hint", { names: all.map((one) => one.name).join(", ") }),
    );
  return found;
}

function head(entry: PipelineEntry): (HTMLElement | null)[] {
  const last = entry.last_run;
  const live = entry.live;
  return [
    h(
      "div",
      { class: "page-head" },
      h("div", { class: "title-line" }, h("h1", {}, entry.name), statusBadge(entry.status ?? "never")),
      h(
        "div",
        { class: "actions" },
        runForm(entry),
        live ? link(`/runs/${encodeURIComponent(live.run)}`, t("watch"), { class: "button" }) : null,
        live ? cancelButton(live.run) : null,
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
              ` ${statusText(last.status)}`,
              last.seconds ? ` · ${formatSeconds(last.seconds)}` : "",
            ]
          : t("never"),
      ),
      h("dt", {}, t("alerts")),
      h(
        "dd",
        {},
        entry.alerts.length > 0
          ? entry.alerts.map((alert) => h("div", {}, alert.on.map((on) => statusText(on)).join(", ")))
          : t("no_alerts"),
      ),
    ),
  ];
}

function openNode(entry: PipelineEntry, node: GraphNode): void {
  const dialog = openDialog(node.name, "side");
  const stream = node.stream ?? (node.kind === "stream" ? node.name : null);
  fill(
    dialog.body,
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, t("status")),
      h("dd", {}, node.status ? statusText(node.status) : t("never")),
      node.rows !== null && node.rows !== undefined
        ? [h("dt", {}, t("rows_word")), h("dd", {}, String(node.rows))]
        : null,
      node.seconds !== null && node.seconds !== undefined
        ? [h("dt", {}, t("duration")), h("dd", {}, formatSeconds(node.seconds))]
        : null,
      node.description ? [h("dt", {}, t("about")), h("dd", {}, node.description)] : null,
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
      ["model", "seed", "check", "view", "table", "incremental", "snapshot"].includes(node.kind)
        ? link(`/models?model=${encodeURIComponent(node.name)}`, t("model_page"), { class: "button" })
        : null,
    ),
  );
  // A link leads to another page: the panel goes with this one.
  dialog.body.addEventListener("click", (event) => {
    if (event.target instanceof HTMLAnchorElement) dialog.close();
  });
}

export async function pipeline({ params, signal }: Visit): Promise<Page> {
  const name = params.name ?? "";
  let entry = await find(name, signal);
  const top = h("div", { class: "stack" });
  const runs = h("div", {});
  const graphPlace = h("div", {});
  fill(top, head(entry));
  const drawAnew = (): Promise<void> =>
    settle(graphPlace, signal, async () => {
      const graph = await get<Graph>(`/api/pipelines/${encodeURIComponent(name)}/graph`, {}, signal);
      const drawn = drawGraph(graph, t("graph_of", { name }), (node) => openNode(entry, node));
      followGraph(name, graph, drawn, signal);
      return drawn.node;
    });
  const anew = async (): Promise<void> => {
    entry = await find(name, signal);
    fill(top, head(entry));
    void settle(runs, signal, () => runTable(name, signal));
  };
  void drawAnew();
  void settle(runs, signal, () => runTable(name, signal));
  listen<Run>(
    "run",
    (event) => {
      if (event.pipeline !== name) return;
      const isNews = event.status !== (entry.live?.status ?? entry.status);
      if (isNews) announce(t("run_is", { pipeline: name, status: statusText(event.status) }));
      background(anew(), signal);
      if (!isActive(event.status)) void drawAnew();
    },
    signal,
  );
  onBack(() => {
    background(anew(), signal);
    void drawAnew();
  }, signal);
  const node = h(
    "div",
    { class: "stack" },
    top,
    h("section", { class: "section" }, h("h2", {}, t("graph")), graphPlace),
    h("section", { class: "section" }, h("h2", {}, t("runs")), runs),
  );
  return { title: name, node };
}
