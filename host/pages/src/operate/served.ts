// The pipelines that the server serves.
import { get } from "../api.ts";
import type { PipelineEntry } from "../types.ts";

/** All of them, in the server's order. */
export async function servedPipelines(signal: AbortSignal): Promise<PipelineEntry[]> {
  return (await get<{ pipelines: PipelineEntry[] }>("/api/pipelines", {}, signal)).pipelines;
}
