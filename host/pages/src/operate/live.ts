// What a running pipeline tells, brought to the boxes of its graph.
import { listen } from "../events.ts";
import type { Graph, ProgressEvent, Run } from "../types.ts";
import type { Drawn } from "./graph.ts";

/** Keeps `drawn` in step with the pipeline's run until `signal` ends. */
export function followGraph(pipeline: string, graph: Graph, drawn: Drawn, signal: AbortSignal): void {
  listen<ProgressEvent>(
    "progress",
    (event) => {
      if (event.pipeline !== pipeline) return;
      for (const node of graph.nodes) if (node.step === event.id) drawn.update(node.id, event.node);
    },
    signal,
  );
  let shown = "";
  listen<Run>(
    "run",
    (event) => {
      if (event.pipeline !== pipeline || event.status !== "running" || event.run === shown) return;
      shown = event.run;
      // A new run: what the last one did no longer holds.
      for (const node of graph.nodes) drawn.update(node.id, { status: null, seconds: null });
    },
    signal,
  );
}
