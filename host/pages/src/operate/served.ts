// The pipelines that the server serves.
import { get } from "../api.ts";
import type { PipelineEntry } from "../types.ts";

/** All of them, in the server's order. */
export async function servedPipelines(signal: AbortSignal): Promise<PipelineEntry[]> {
  const found = await get<PipelineEntry[] | { pipelines: PipelineEntry[] }>("/api/pipelines", {}, signal);
  const list = Array.isArray(found) ? found : found.pipelines;
  return list.map((entry) => ({ ...entry, state: entry.state ?? (entry.last_run ? "idle" : "never") }));
}
