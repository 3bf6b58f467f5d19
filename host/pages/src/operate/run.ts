// One run: how it goes or went, its steps, its log, and why it failed with what to do.
import { get } from "../api.ts";
import { fill, h, link, prose } from "../dom.ts";
import { listen, onBack } from "../events.ts";
import { formatCount, formatSeconds, formatTime } from "../format.ts";
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background } from "../states.ts";
import { table } from "../table.ts";
import type { LogEvent, LogLine, ProgressEvent, Run, RunDetail, RunStep } from "../types.ts";
import { cancelButton } from "./form.ts";
import { isActive, statusBadge, statusText } from "./status.ts";

/** Lines of the log that are kept on the page. */
const MOST_LINES = 2000;

function failure({ status, message, hint }: Run): HTMLElement | null {
  if (!["failed", "interrupted"].includes(status) || !message) return null;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-message" }, prose(message)),
    hint ? h("p", { class: "problem-hint" }, h("strong", {}, `${t("hint")}: `), prose(hint)) : null,
  );
}

function head(one: Run): HTMLElement[] {
  const facts = [
    h("dt", {}, t("pipeline")),
    h("dd", {}, link(`/pipelines/${encodeURIComponent(one.pipeline)}`, one.pipeline)),
    one.started_at ? [h("dt", {}, t("started")), h("dd", {}, formatTime(one.started_at))] : null,
    one.finished_at ? [h("dt", {}, t("finished")), h("dd", {}, formatTime(one.finished_at))] : null,
    one.seconds !== null && one.seconds !== undefined
      ? [h("dt", {}, t("duration")), h("dd", { class: "run-seconds" }, formatSeconds(one.seconds))]
      : null,
    one.cause ? [h("dt", {}, t("cause")), h("dd", {}, statusText(one.cause))] : null,
  ];
  return [
    h(
      "div",
      { class: "page-head" },
      h("div", { class: "title-line" }, h("h1", {}, t("run_of", { pipeline: one.pipeline })), statusBadge(one.status)),
      h("div", { class: "actions" }, isActive(one.status) ? cancelButton(one.run) : null),
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
      if (column.name === "seconds" && typeof value === "number") return formatSeconds(value);
      return undefined;
    },
  });
}

function line(entry: LogLine): HTMLElement {
  const time = new Date(entry.at).toLocaleTimeString();
  return h("div", { class: `log-line ${entry.level}` }, h("span", { class: "muted" }, time), " ", entry.message);
}

/** Progress by stream and model, as it is told. */
function progress(): { node: HTMLElement; take: (event: ProgressEvent) => void } {
  const rows = new Map<string, HTMLElement>();
  const list = h("ul", { class: "progress" });
  const take = ({ progress: { event, stream, model, rows: read, total: whole, done, of } }: ProgressEvent): void => {
    const isModel = event === "model";
    const name = isModel ? t("models") : `${stream}`;
    const key = `${t(`step_${event}`)} ${name}`;
    let row = rows.get(key);
    if (!row) {
      row = h("li", {});
      rows.set(key, row);
      list.append(row);
    }
    const value = isModel ? Number(done) : (read ?? 0);
    const total = isModel ? of : whole;
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
  return { node: h("section", { class: "section live", "aria-label": t("live") }, h("h2", {}, t("live")), list), take };
}

export async function run({ params, signal }: Visit): Promise<Page> {
  const id = params.id ?? "";
  const read = (): Promise<RunDetail> => get<RunDetail>(`/api/runs/${encodeURIComponent(id)}`, {}, signal);
  // What is told while the page is being read is not in it.
  let isToldEarly = false;
  const early = new AbortController();
  listen<Run>(
    "run",
    (event) => {
      isToldEarly ||= event.run === id;
    },
    early.signal,
  );
  let detail = await read().finally(() => early.abort());
  const top = h("div", { class: "stack" });
  const why = h("div", {});
  const stepPlace = h("div", {});
  const log = h("div", { class: "log code", role: "log", tabindex: 0, "aria-label": t("log") });
  const live = progress();
  const show = (): void => {
    fill(top, head(detail.run));
    fill(why, failure(detail.run));
    fill(stepPlace, detail.steps.length > 0 ? steps(detail.steps) : h("p", { class: "empty" }, t("no_steps")));
    live.node.hidden = !isActive(detail.run.status);
    fill(log, detail.log.slice(-MOST_LINES).map(line));
    if (detail.log.length === 0) log.append(h("p", { class: "muted" }, t("no_log")));
    log.scrollTop = log.scrollHeight;
  };
  show();
  let asked = 0;
  const anew = async (): Promise<void> => {
    asked += 1;
    const mine = asked;
    const found = await read();
    // Of two answers the one that was asked for last counts.
    if (mine !== asked) return;
    detail = found;
    show();
  };
  listen<Run>(
    "run",
    (event) => {
      if (event.run !== id) return;
      if (event.status !== detail.run.status)
        announce(t("run_is", { pipeline: event.pipeline, status: statusText(event.status) }));
      background(anew(), signal);
    },
    signal,
  );
  listen<ProgressEvent>(
    "progress",
    (event) => {
      if (event.run !== id) return;
      live.take(event);
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
      if (log.childElementCount > MOST_LINES) log.firstElementChild?.remove();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    },
    signal,
  );
  onBack(() => background(anew(), signal), signal);
  if (isToldEarly) background(anew(), signal);
  const node = h(
    "div",
    { class: "stack" },
    top,
    why,
    live.node,
    h("section", { class: "section" }, h("h2", {}, t("steps")), stepPlace),
    h("section", { class: "section" }, h("h2", {}, t("log")), log),
  );
  return { title: t("run_of", { pipeline: detail.run.pipeline }), node };
}
