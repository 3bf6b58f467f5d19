// The preview of a rule: its changes and notes on the first 100 rows, without saving them.
import { get } from "../api.ts";
import { button, fill, h } from "../dom.ts";
import { formatCount } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { outcomeLabel } from "../labels.ts";
import { settle } from "../states.ts";
import type { RulePreview } from "../types.ts";

function shown(value: unknown): string {
  return value === null || value === undefined ? t("empty_value") : String(value);
}

/** A button that reads the preview, and the preview below it. */
export function preview(pipeline: string, stream: string, rule: string, signal: AbortSignal): HTMLElement {
  const container = h("div", { "aria-live": "polite" });
  const read = (): void => {
    void settle(container, signal, async () => {
      const found = await get<RulePreview>("/api/preview", { pipeline, stream, rule }, signal);
      const changes = found.changes.map((change) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "code" }, change.key),
          h("td", { class: "code" }, change.column),
          h("td", {}, h("del", {}, shown(change.before))),
          h("td", {}, h("ins", {}, shown(change.after))),
        ),
      );
      const notes = found.remarks.map((note) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "code" }, note.key),
          h("td", {}, outcomeLabel(note.what === "note" ? "noted" : note.what)),
          h("td", {}, note.message),
        ),
      );
      const list = (heads: string[], rows: HTMLElement[], caption: string): HTMLElement =>
        h(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
          h(
            "table",
            {},
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                heads.map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h("tbody", {}, rows),
          ),
        );
      return h(
        "div",
        { class: "stack" },
        h(
          "p",
          { class: "muted" },
          t("preview_summary", {
            rows: formatCount(found.rows),
            changes: plural("changes", changes.length, formatCount(changes.length)),
            notes: plural("notes", notes.length, formatCount(notes.length)),
          }),
        ),
        changes.length > 0 ? list([t("record"), t("field"), t("before"), t("after")], changes, t("changes")) : null,
        notes.length > 0 ? list([t("record"), t("outcome"), t("reason")], notes, t("notes")) : null,
      );
    });
  };
  const section = h("section", { class: "section" });
  fill(
    section,
    h("h3", {}, t("preview")),
    h("p", { class: "muted small" }, t("preview_about")),
    button(t("show_preview"), read),
    container,
  );
  return section;
}
