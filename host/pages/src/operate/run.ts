// The page of one run: status, progress, steps, log, and for a failed run the reason and a hint.
import { get } from "../api.ts";
import { fill, h, link, prose } from "../dom.ts";
import { listen, onReconnect } from "../events.ts";
import { formatCount, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import { runStatusLabel, stepLabel, triggerLabel } from "../labels.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background } from "../states.ts";
import { table } from "../table.ts";
import type { LogEvent, LogLine, ProgressEvent, Run, RunDetail, RunStep } from "../types.ts";
import { cancelButton } from "./form.ts";
import { isActive, statusBadge } from "./status.ts";

/** The largest number of log lines on the page. */
const MAX_LINES = 2000;

function failure({ status, message, hint }: Run): HTMLElement | null {
  if (!["failed", "interrupted"].includes(status) || !message) return null;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-message" }, prose(message)),
    hint ? h("p", { class: "problem-hint" }, h("strong", {}, `${t("what_to_do")}: `), prose(hint)) : null,
  );
}

function head(run: Run): HTMLElement[] {
  const facts = [
    h("dt", {}, t("pipeline")),
    h("dd", {}, link(`/pipelines/${encodeURIComponent(run.pipeline)}`, run.pipeline)),
    run.started_at ? [h("dt", {}, t("started")), h("dd", {}, formatTime(run.started_at))] : null,
    run.finished_at ? [h("dt", {}, t("finished")), h("dd", {}, formatTime(run.finished_at))] : null,
    run.seconds !== null && run.seconds !== undefined
      ? [h("dt", {}, t("duration")), h("dd", { class: "run-seconds" }, formatSeconds(run.seconds))]
      : null,
    run.cause ? [h("dt", {}, t("trigger")), h("dd", {}, triggerLabel(run.cause))] : null,
  ];
  return [
    h(
      "div",
      { class: "page-head" },
      h("div", { class: "title-line" }, h("h1", {}, t("run_of", { pipeline: run.pipeline })), statusBadge(run.status)),
      h("div", { class: "actions" }, isActive(run.status) ? cancelButton(run.run) : null),
    ),
    h("dl", { class: "facts card" }, facts),
  ];
}

function steps(list: RunStep[]): HTMLElement {
  return table({
    caption: t("steps"),
    columns: [
      { name: "step", type: "VARCHAR" },
      { name: "name", type: "VARCHAR" },
      { name: "rows_read", type: "BIGINT" },
      { name: "rows_changed", type: "BIGINT" },
      { name: "requests", type: "BIGINT" },
      { name: "seconds", type: "DOUBLE" },
    ],
    rows: list.map((step) => [step.step, step.name, step.rows_read, step.rows_changed, step.requests, step.seconds]),
    cell: (column, value) => {
      if (column.name === "step") return stepLabel(value as RunStep["step"]);
      if (column.name === "seconds" && typeof value === "number") return formatSeconds(value);
      return undefined;
    },
  });
}

function line(entry: LogLine): HTMLElement {
  const time = new Date(entry.at).toLocaleTimeString();
  return h("div", { class: `log-line ${entry.level}` }, h("span", { class: "muted" }, time), " ", entry.message);
}

/** The progress of each stream, and of all models together. */
function progressList(): { node: HTMLElement; update: (event: ProgressEvent) => void } {
  const rows = new Map<string, HTMLElement>();
  const list = h("ul", { class: "progress" });
  const update = ({ progress }: ProgressEvent): void => {
    const { event, stream, model, done } = progress;
    const isModel = event === "model";
    const key = isModel ? `${stepLabel("marts")}: ${t("models")}` : `${stepLabel(event)}: ${stream}`;
    let row = rows.get(key);
    if (!row) {
      row = h("li", {});
      rows.set(key, row);
      list.append(row);
    }
    const value = isModel ? Number(done) : (progress.rows ?? 0);
    const total = isModel ? progress.of : progress.total;
    const isDone = isModel ? value === total : done === true;
    fill(
      row,
      h("span", { class: "code" }, key),
      h("progress", isDone ? { max: 1, value: 1 } : total ? { max: total, value: Math.min(value, total) } : {}),
      h(
        "span",
        { class: "number" },
        total && !isDone ? `${formatCount(value)} / ${formatCount(total)}` : formatCount(value),
        isModel && !isDone ? ` · ${model}` : "",
      ),
    );
    row.querySelector("progress")?.setAttribute("aria-label", key);
  };
  const label = t("progress");
  return { node: h("section", { class: "section live", "aria-label": label }, h("h2", {}, label), list), update };
}

export async function run({ params, signal }: Visit): Promise<Page> {
  const id = params.id ?? "";
  const read = (): Promise<RunDetail> => get<RunDetail>(`/api/runs/${encodeURIComponent(id)}`, {}, signal);
  // An event that arrives while the run is being read may not be part of the answer.
  let isOutdated = false;
  const initialRead = new AbortController();
  listen<Run>(
    "run",
    (event) => {
      isOutdated ||= event.run === id;
    },
    initialRead.signal,
  );
  let detail = await read().finally(() => initialRead.abort());
  const top = h("div", { class: "stack" });
  const failurePlace = h("div", {});
  const stepPlace = h("div", {});
  const log = h("div", { class: "log code", role: "log", tabindex: 0, "aria-label": t("log") });
  const progress = progressList();
  const show = (): void => {
    fill(top, head(detail.run));
    fill(failurePlace, failure(detail.run));
    fill(stepPlace, detail.steps.length > 0 ? steps(detail.steps) : h("p", { class: "empty" }, t("no_steps")));
    progress.node.hidden = !isActive(detail.run.status);
    fill(log, detail.log.slice(-MAX_LINES).map(line));
    if (detail.log.length === 0) log.append(h("p", { class: "muted" }, t("no_log")));
    log.scrollTop = log.scrollHeight;
  };
  show();
  let lastRequest = 0;
  const refresh = async (): Promise<void> => {
    lastRequest += 1;
    const request = lastRequest;
    const answer = await read();
    // Answers may arrive out of order: only the last request counts.
    if (request !== lastRequest) return;
    detail = answer;
    show();
  };
  listen<Run>(
    "run",
    (event) => {
      if (event.run !== id) return;
      if (event.status !== detail.run.status)
        announce(t("run_changed", { pipeline: event.pipeline, status: runStatusLabel(event.status) }));
      background(refresh(), signal);
    },
    signal,
  );
  listen<ProgressEvent>(
    "progress",
    (event) => {
      if (event.run !== id) return;
      progress.update(event);
    },
    signal,
  );
  listen<LogEvent>(
    "log",
    (event) => {
      if (event.run !== id) return;
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      if (detail.log.length === 0 && !log.querySelector(".log-line")) log.replaceChildren();
      log.append(line(event.line));
      if (log.childElementCount > MAX_LINES) log.firstElementChild?.remove();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    },
    signal,
  );
  onReconnect(() => background(refresh(), signal), signal);
  if (isOutdated) background(refresh(), signal);
  const node = h(
    "div",
    { class: "stack" },
    top,
    failurePlace,
    progress.node,
    h("section", { class: "section" }, h("h2", {}, t("steps")), stepPlace),
    h("section", { class: "section" }, h("h2", {}, t("log")), log),
  );
  return { title: t("run_of", { pipeline: detail.run.pipeline }), node };
}
