// The history of one record: its values in the source, the actions of each rule, its values after cleaning.
import { get } from "../api.ts";
import type { RecordOutcome } from "../codes.ts";
import { h } from "../dom.ts";
import { formatNumber, formatPlain } from "../format.ts";
import { t } from "../i18n.ts";
import { outcomeLabel } from "../labels.ts";
import { settle } from "../states.ts";
import type { RecordHistory, Repair } from "../types.ts";

function shown(value: unknown): string {
  return value === null || value === undefined ? t("empty_value") : formatPlain(value);
}

function isSame(left: unknown, right: unknown): boolean {
  const comparable = (value: unknown): string =>
    typeof value === "object" && value !== null ? JSON.stringify(value) : shown(value);
  return comparable(left) === comparable(right);
}

/** One action of a rule: a change as before → after, a note or a merge as a sentence. */
export function repairLine(repair: Repair): HTMLElement {
  const confidence =
    repair.confidence === null || repair.confidence === undefined
      ? null
      : h("span", { class: "muted" }, ` (${t("confidence", { share: formatNumber(repair.confidence, "percent") })})`);
  const reason = repair.message ?? repair.code;
  const action = (): (string | HTMLElement | null)[] => {
    switch (repair.what) {
      case "changed":
        return [
          repair.column ? `${repair.column}: ` : "",
          h("del", {}, shown(repair.before)),
          " → ",
          h("ins", {}, shown(repair.after)),
        ];
      case "absorbed":
        return [t("absorbed", { key: repair.absorbed ?? "" }), reason ? ` · ${reason}` : ""];
      case "merged":
        return [t("merged_into", { key: repair.after ?? "" }), reason ? ` · ${reason}` : ""];
      case "rejected":
        return [
          h("span", { class: "badge bad" }, outcomeLabel("rejected")),
          ` ${repair.column ? `${repair.column}: ` : ""}${reason ?? ""}`,
        ];
      default:
        return [repair.column ? `${repair.column}: ` : "", reason ?? outcomeLabel("noted")];
    }
  };
  return h(
    "li",
    { class: "repair" },
    h("span", { class: "code rule-name" }, repair.rule),
    h("span", {}, action(), confidence),
  );
}

/** A step of the history, which has the names of the journal's columns, as a repair. */
function repairOf(step: Record<string, unknown>): Repair {
  const text = (name: string): string | null => (typeof step[name] === "string" ? (step[name] as string) : null);
  return {
    rule: text("rule") ?? "",
    what: (text("what") ?? "noted") as Repair["what"],
    column: text("column_name") ?? text("column"),
    before: text("value_before") ?? text("before"),
    after: text("value_after") ?? text("after"),
    absorbed: text("absorbed"),
    code: text("code"),
    message: text("message"),
    confidence: typeof step.confidence === "number" ? step.confidence : null,
  };
}

/** What the rules did with the record as a whole. */
function outcomeText(history: RecordHistory, repairs: Repair[]): string {
  const merge = repairs.find((repair) => repair.what === "merged");
  if (!history.clean && merge?.after) return t("merged_into", { key: merge.after });
  const isRejected = repairs.some((repair) => repair.what === "rejected");
  const outcome: RecordOutcome = history.clean ? "clean" : merge ? "merged" : isRejected ? "rejected" : "gone";
  return outcomeLabel(outcome);
}

/** Values before and after cleaning side by side: fields that differ first, empty fields omitted. */
function fieldTable(history: RecordHistory): HTMLElement {
  const names = [...new Set([...Object.keys(history.raw ?? {}), ...Object.keys(history.clean ?? {})])].filter(
    (name) => !name.startsWith("_"),
  );
  const rows = names
    .map((name) => ({ name, raw: history.raw?.[name], clean: history.clean?.[name] }))
    .filter(({ raw, clean }) => (raw ?? null) !== null || (clean ?? null) !== null)
    .map((row) => ({
      ...row,
      differs: history.raw !== null && history.clean !== null && !isSame(row.raw, row.clean),
    }));
  rows.sort((left, right) => Number(right.differs) - Number(left.differs));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": t("fields") },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          [t("field"), t("raw_value"), t("clean_value")].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            { class: row.differs ? "differs" : "" },
            h("th", { scope: "row", class: "code" }, row.name),
            h("td", {}, row.differs ? h("del", {}, shown(row.raw)) : shown(row.raw)),
            h("td", {}, row.differs ? h("ins", {}, shown(row.clean)) : shown(row.clean)),
          ),
        ),
      ),
    ),
  );
}

/** An element that reads and shows the history of a record. */
export function recordHistory(stream: string, key: string, signal: AbortSignal): HTMLElement {
  const container = h("div", { class: "stack record", "data-record": `${stream}/${key}` });
  void settle(container, signal, async () => {
    const path = `/api/records/${encodeURIComponent(stream)}/${encodeURIComponent(key)}`;
    const history = await get<RecordHistory>(path, {}, signal);
    const steps = history.steps.map(repairOf);
    const absorbed = history.merged_from.map((other) => ({
      ...repairOf(other),
      what: "absorbed" as const,
      absorbed: String(other.key ?? ""),
    }));
    const repairs = [...steps, ...absorbed];
    return [
      h(
        "div",
        {},
        h("h3", {}, `${stream} ${key}`),
        h("p", { class: "muted" }, `${t("outcome")}: `, h("strong", {}, outcomeText(history, steps))),
      ),
      h(
        "section",
        {},
        h("h4", {}, t("repairs")),
        repairs.length === 0
          ? h("p", { class: "muted" }, t("no_repairs"))
          : h("ol", { class: "repairs" }, repairs.map(repairLine)),
      ),
      h("section", {}, h("h4", {}, t("fields")), fieldTable(history)),
    ];
  });
  return container;
}
