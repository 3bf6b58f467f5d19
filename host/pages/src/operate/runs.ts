// The runs of a pipeline or of all, newest first, page by page.
import { get } from "../api.ts";
import { h, link } from "../dom.ts";
import { formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import { settle } from "../states.ts";
import { pager, table } from "../table.ts";
import type { RunList } from "../types.ts";
import { stateBadge } from "./state.ts";

/** A table of runs, with its pages. */
export async function runTable(pipeline: string | null, signal: AbortSignal, page = 1): Promise<HTMLElement> {
  const found = await get<RunList>("/api/runs", { pipeline, page: page > 1 ? page : null }, signal);
  const place = h("div", { class: "runs" });
  const go = (next: number): void => void settle(place, signal, () => runTable(pipeline, signal, next));
  const rows = found.runs.map((run) => [
    run.started_at ?? null,
    run.pipeline,
    run.state,
    run.trigger ?? null,
    run.seconds ?? null,
    run.message ?? null,
    run.id,
  ]);
  place.append(
    table({
      caption: t("runs"),
      columns: [
        { name: "started_at", type: "TIMESTAMP" },
        { name: "pipeline", type: "VARCHAR" },
        { name: "state", type: "VARCHAR" },
        { name: "trigger", type: "VARCHAR" },
        { name: "seconds", type: "DOUBLE" },
        { name: "message", type: "VARCHAR" },
        { name: "id", type: "VARCHAR" },
      ],
      hidden: pipeline ? ["pipeline", "id"] : ["id"],
      rows,
      cell: (column, value, row) => {
        if (column.name === "state") return stateBadge(String(value));
        if (column.name === "seconds" && typeof value === "number") return formatSeconds(value);
        if (column.name === "message") return h("span", { class: "clip" }, value ? String(value) : "");
        if (column.name !== "started_at") return undefined;
        const text = value ? undefined : t("queued");
        return link(`/runs/${encodeURIComponent(String(row[6]))}`, text ?? formatTime(String(value)));
      },
    }),
    pager(
      page,
      found.has_more ??
        (found.total !== undefined && found.total !== null && page * (found.page_size ?? 50) < found.total),
      go,
    ) ?? "",
  );
  return place;
}
