// All pipelines: status, last run, next run.

import { fill, h, link } from "../dom.ts";
import { listen, onBack } from "../events.ts";
import { formatAgo, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { empty, settle } from "../states.ts";
import type { PipelineEntry, Run } from "../types.ts";
import { runForm } from "./form.ts";
import { runTable } from "./runs.ts";
import { servedPipelines } from "./served.ts";
import { statusBadge, statusText } from "./status.ts";

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
              " ",
              statusText(last.status),
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
      runForm(entry),
      entry.live ? link(`/runs/${encodeURIComponent(entry.live.run)}`, t("watch"), { class: "button" }) : null,
    ),
  );
}

export async function pipelines({ signal }: Visit): Promise<Page> {
  const list = h("div", { class: "pipelines" });
  const runs = h("div", {});
  const read = async (): Promise<HTMLElement[]> => {
    const found = await servedPipelines(signal);
    return found.length > 0 ? found.map(card) : [empty(t("no_pipelines"))];
  };
  const anew = (): void => {
    void settle(list, signal, read);
    void settle(runs, signal, () => runTable(null, signal));
  };
  list.append(...(await read()));
  void settle(runs, signal, () => runTable(null, signal));
  // A run tells of each of its steps; what it is stays the same meanwhile.
  const told = new Map<string, string>();
  listen<Run>(
    "run",
    (event) => {
      if (told.get(event.pipeline) !== event.status)
        announce(t("run_is", { pipeline: event.pipeline, status: statusText(event.status) }));
      told.set(event.pipeline, event.status);
      anew();
    },
    signal,
  );
  onBack(anew, signal);
  const node = h("div", {});
  fill(
    node,
    h("div", { class: "page-head" }, h("h1", {}, t("pipelines"))),
    list,
    h("section", { class: "section" }, h("h2", {}, t("runs")), runs),
  );
  return { title: t("pipelines"), node };
}
