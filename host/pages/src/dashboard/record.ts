// One record's story: what the source sent, what each rule did, what models see.
import { get } from "../api.ts";
import { h } from "../dom.ts";
import { formatNumber } from "../format.ts";
import { t, words } from "../i18n.ts";
import { settle } from "../states.ts";
import type { Repair, Story } from "../types.ts";

function shown(value: unknown): string {
  if (value === null || value === undefined) return t("nothing");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A change as before → after, a remark or a merge as its words. */
export function repairLine(repair: Repair): HTMLElement {
  const sure =
    repair.confidence === null || repair.confidence === undefined
      ? null
      : h("span", { class: "muted" }, ` (${t("confidence", { share: formatNumber(repair.confidence, "percent") })})`);
  const why = repair.message ?? repair.code;
  const what = (): (string | HTMLElement | null)[] => {
    switch (repair.what) {
      case "changed":
        return [
          repair.column ? `${repair.column}: ` : "",
          h("del", {}, shown(repair.before)),
          " → ",
          h("ins", {}, shown(repair.after)),
        ];
      case "absorbed":
        return [t("absorbed", { key: repair.absorbed ?? "" }), why ? ` · ${why}` : ""];
      case "merged":
        return [t("merged_into", { key: repair.after ?? "" }), why ? ` · ${why}` : ""];
      case "rejected":
        return [
          h("span", { class: "badge bad" }, t("rejected")),
          ` ${repair.column ? `${repair.column}: ` : ""}${why ?? ""}`,
        ];
      default:
        return [repair.column ? `${repair.column}: ` : "", why ?? t("noted")];
    }
  };
  return h("li", { class: "repair" }, h("span", { class: "code rule-name" }, repair.rule), h("span", {}, what(), sure));
}

/** A step of the journal, as `host quality --record` has it. */
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

/** Raw and clean side by side: fields that differ first, empty ones left out. */
function fields(story: Story): HTMLElement {
  const names = [...new Set([...Object.keys(story.raw ?? {}), ...Object.keys(story.clean ?? {})])].filter(
    (name) => !name.startsWith("_"),
  );
  const rows = names
    .map((name) => ({ name, raw: story.raw?.[name], clean: story.clean?.[name] }))
    .filter(({ raw, clean }) => (raw ?? null) !== null || (clean ?? null) !== null)
    .map((row) => ({
      ...row,
      differs: story.raw !== null && story.clean !== null && shown(row.raw) !== shown(row.clean),
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
          [t("field"), t("raw"), t("clean")].map((name) => h("th", { scope: "col" }, name)),
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

/** The story of a record, read into a place of its own. */
export function recordStory(stream: string, key: string, signal: AbortSignal): HTMLElement {
  const place = h("div", { class: "stack record", "data-record": `${stream}/${key}` });
  void settle(place, signal, async () => {
    const story = await get<Story>(`/api/records/${encodeURIComponent(stream)}/${encodeURIComponent(key)}`, {}, signal);
    const merged = story.merged_from.map((one) => ({
      ...repairOf(one),
      what: "absorbed" as const,
      absorbed: String(one.key ?? ""),
    }));
    const repairs = [...story.steps.map(repairOf), ...merged];
    return [
      h(
        "div",
        {},
        h("h3", {}, `${words(stream)} ${key}`),
        h("p", { class: "muted" }, t("fate"), " ", h("strong", {}, story.fate)),
      ),
      h(
        "section",
        {},
        h("h4", {}, t("repairs")),
        repairs.length === 0
          ? h("p", { class: "muted" }, t("no_repairs"))
          : h("ol", { class: "repairs" }, repairs.map(repairLine)),
      ),
      h("section", {}, h("h4", {}, t("fields")), fields(story)),
    ];
  });
  return place;
}
