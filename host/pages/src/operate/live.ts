// What a running pipeline tells, brought to the boxes of its graph.
import { listen } from "../events.ts";
import type { Graph, GraphNode, ProgressEvent, RunEvent } from "../types.ts";
import type { Drawn } from "./graph.ts";

/** Nodes that an event is about: a stream's own, the rules of a stream, a model. */
function about(graph: Graph, event: ProgressEvent): GraphNode[] {
  if (event.event === "model")
    return graph.nodes.filter(
      (node) => node.name === event.model || node.id === event.model || node.id === `model:${event.model}`,
    );
  const stream = event.stream ?? "";
  if (event.event === "clean") return graph.nodes.filter((node) => node.kind === "rule" && node.stream === stream);
  return graph.nodes.filter(
    (node) => node.kind === "stream" && (node.name === stream || node.id === stream || node.stream === stream),
  );
}

/** Keeps `drawn` in step with the pipeline's run until `signal` ends. */
export function followGraph(pipeline: string, graph: Graph, drawn: Drawn, signal: AbortSignal): void {
  listen<ProgressEvent>(
    "progress",
    (event) => {
      if (event.pipeline !== undefined && event.pipeline !== pipeline) return;
      for (const node of about(graph, event)) {
        const isDone = event.event === "model" || event.done === true;
        const rows = event.event === "extract" && typeof event.rows === "number" ? { rows: event.rows } : {};
        drawn.update(node.id, { state: isDone ? "succeeded" : "running", ...rows });
      }
    },
    signal,
  );
  listen<RunEvent>(
    "run",
    (event) => {
      if (event.pipeline !== pipeline || event.state !== "running") return;
      // A new run: what the last one did no longer holds.
      for (const node of graph.nodes) drawn.update(node.id, { state: null, seconds: null });
    },
    signal,
  );
}
