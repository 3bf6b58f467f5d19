// The page of all pipelines: status, last run and next run of each, and the latest runs.
import { fill, h, link } from "../dom.ts";
import { listen, onReconnect } from "../events.ts";
import { formatAgo, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import { runStatusLabel } from "../labels.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { empty, settle } from "../states.ts";
import type { PipelineEntry, Run } from "../types.ts";
import { readPipelines } from "./entries.ts";
import { runButton } from "./form.ts";
import { runTable } from "./runs.ts";
import { statusBadge } from "./status.ts";

function card(entry: PipelineEntry): HTMLElement {
  const last = entry.last_run;
  return h(
    "article",
    { class: "card pipeline", "data-pipeline": entry.name },
    h(
      "div",
      { class: "pipeline-head" },
      h("h2", {}, link(`/pipelines/${encodeURIComponent(entry.name)}`, entry.name)),
      statusBadge(entry.status ?? "never"),
    ),
    h("p", { class: "code muted small" }, entry.path),
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, t("last_run")),
      h(
        "dd",
        {},
        last
          ? [
              link(`/runs/${encodeURIComponent(last.run)}`, last.started_at ? formatAgo(last.started_at) : last.run),
              " · ",
              runStatusLabel(last.status),
              last.seconds ? ` · ${formatSeconds(last.seconds)}` : "",
            ]
          : t("never"),
      ),
      h("dt", {}, t("next_run")),
      h(
        "dd",
        {},
        entry.next_run
          ? h(
              "time",
              { datetime: entry.next_run, title: entry.next_run },
              `${formatTime(entry.next_run)} (${formatAgo(entry.next_run)})`,
            )
          : t("not_scheduled"),
        entry.schedule
          ? h(
              "span",
              { class: "muted" },
              " · ",
              h("span", { class: "code" }, entry.schedule),
              entry.timezone ? ` ${entry.timezone}` : "",
            )
          : null,
      ),
    ),
    h(
      "div",
      { class: "actions" },
      runButton(entry),
      entry.live ? link(`/runs/${encodeURIComponent(entry.live.run)}`, t("open_run"), { class: "button" }) : null,
    ),
  );
}

export async function pipelines({ signal }: Visit): Promise<Page> {
  const list = h("div", { class: "pipelines" });
  const runs = h("div", {});
  const read = async (): Promise<HTMLElement[]> => {
    const entries = await readPipelines(signal);
    return entries.length > 0 ? entries.map(card) : [empty(t("no_pipelines"))];
  };
  const refresh = (): void => {
    void settle(list, signal, read);
    void settle(runs, signal, () => runTable(null, signal));
  };
  list.append(...(await read()));
  void settle(runs, signal, () => runTable(null, signal));
  // A run sends an event at each step. Only a change of its status is announced.
  const announced = new Map<string, string>();
  listen<Run>(
    "run",
    (event) => {
      if (announced.get(event.pipeline) !== event.status)
        announce(t("run_changed", { pipeline: event.pipeline, status: runStatusLabel(event.status) }));
      announced.set(event.pipeline, event.status);
      refresh();
    },
    signal,
  );
  onReconnect(refresh, signal);
  const node = h("div", {});
  fill(
    node,
    h("div", { class: "page-head" }, h("h1", {}, t("pipelines"))),
    list,
    h("section", { class: "section" }, h("h2", {}, t("runs")), runs),
  );
  return { title: t("pipelines"), node };
}
