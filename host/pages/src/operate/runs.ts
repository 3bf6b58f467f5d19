// The table of runs, of one pipeline or of all, newest first.
import { get } from "../api.ts";
import { h, link } from "../dom.ts";
import { formatCount, formatSeconds, formatTime } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { triggerLabel } from "../labels.ts";
import { settle } from "../states.ts";
import { pager, table } from "../table.ts";
import type { Run, RunList } from "../types.ts";
import { statusBadge } from "./status.ts";

/** A table of runs with a pager; `pipeline` null shows the runs of all pipelines. */
export async function runTable(pipeline: string | null, signal: AbortSignal, page = 1): Promise<HTMLElement> {
  const found = await get<RunList>("/api/runs", { pipeline, page: page > 1 ? page : null }, signal);
  const container = h("div", { class: "runs" });
  const go = (next: number): void => void settle(container, signal, () => runTable(pipeline, signal, next));
  const rows = found.runs.map((run) => [
    run.started_at ?? null,
    run.pipeline,
    run.status,
    run.cause ?? null,
    run.seconds ?? null,
    run.message ?? null,
    run.run,
  ]);
  container.append(
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
        if (column.name === "status") return statusBadge(value as Run["status"]);
        if (column.name === "seconds" && typeof value === "number") return formatSeconds(value);
        if (column.name === "cause" && value) return triggerLabel(value as NonNullable<Run["cause"]>);
        if (column.name === "message") return h("span", { class: "clip" }, value ? String(value) : "");
        if (column.name !== "started_at") return undefined;
        const text = value ? formatTime(String(value)) : t("not_started");
        return link(`/runs/${encodeURIComponent(String(row[6]))}`, text);
      },
    }),
    pager(page, page * found.page_size < found.total, go, plural("runs", found.total, formatCount(found.total))) ?? "",
  );
  return container;
}
