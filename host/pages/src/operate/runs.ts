// The runs of a pipeline or of all, newest first, page by page.
import { get } from "../api.ts";
import { h, link } from "../dom.ts";
import { formatCount, formatSeconds, formatTime } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { settle } from "../states.ts";
import { pager, table } from "../table.ts";
import type { RunList } from "../types.ts";
import { statusBadge, statusText } from "./status.ts";

/** A table of runs, with its pages. */
export async function runTable(pipeline: string | null, signal: AbortSignal, page = 1): Promise<HTMLElement> {
  const found = await get<RunList>("/api/runs", { pipeline, page: page > 1 ? page : null }, signal);
  const place = h("div", { class: "runs" });
  const go = (next: number): void => void settle(place, signal, () => runTable(pipeline, signal, next));
  const rows = found.runs.map((run) => [
    run.started_at ?? null,
    run.pipeline,
    run.status,
    run.cause ?? null,
    run.seconds ?? null,
    run.message ?? null,
    run.run,
  ]);
  place.append(
    table({
      caption: t("runs"),
      columns: [
        { name: "started_at", type: "TIMESTAMP" },
        { name: "pipeline", type: "VARCHAR" },
        { name: "status", type: "VARCHAR" },
        { name: "cause", type: "VARCHAR" },
        { name: "seconds", type: "DOUBLE" },
        { name: "message", type: "VARCHAR" },
        { name: "run", type: "VARCHAR" },
      ],
      hidden: pipeline ? ["pipeline", "run"] : ["run"],
      rows,
      cell: (column, value, row) => {
        if (column.name === "status") return statusBadge(String(value));
        if (column.name === "seconds" && typeof value === "number") return formatSeconds(value);
        if (column.name === "cause" && value) return statusText(String(value));
        if (column.name === "message") return h("span", { class: "clip" }, value ? String(value) : "");
        if (column.name !== "started_at") return undefined;
        const text = value ? undefined : t("queued");
        return link(`/runs/${encodeURIComponent(String(row[6]))}`, text ?? formatTime(String(value)));
      },
    }),
    pager(page, page * found.page_size < found.total, go, plural("runs", found.total, formatCount(found.total))) ?? "",
  );
  return place;
}
