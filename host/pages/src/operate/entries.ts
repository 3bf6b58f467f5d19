// Reads the pipelines of the server.
import { get } from "../api.ts";
import type { PipelineEntry } from "../types.ts";

/** All pipelines, in the order of the server's command line. */
export async function readPipelines(signal: AbortSignal): Promise<PipelineEntry[]> {
  return (await get<{ pipelines: PipelineEntry[] }>("/api/pipelines", {}, signal)).pipelines;
}
