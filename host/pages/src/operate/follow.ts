// Shows the progress of a run in the graph of its pipeline.
import { listen } from "../events.ts";
import type { Graph, ProgressEvent, Run } from "../types.ts";
import type { GraphView } from "./graph.ts";

/** Updates `view` with the events of the pipeline's runs until `signal` aborts. */
export function followRun(pipeline: string, graph: Graph, view: GraphView, signal: AbortSignal): void {
  listen<ProgressEvent>(
    "progress",
    (event) => {
      if (event.pipeline !== pipeline) return;
      for (const node of graph.nodes) if (node.step === event.id) view.update(node.id, event.node);
    },
    signal,
  );
  let currentRun = "";
  listen<Run>(
    "run",
    (event) => {
      if (event.pipeline !== pipeline || event.status !== "running" || event.run === currentRun) return;
      currentRun = event.run;
      // A new run started: clear the results of the last one.
      for (const node of graph.nodes) view.update(node.id, { status: null, seconds: null });
    },
    signal,
  );
}
