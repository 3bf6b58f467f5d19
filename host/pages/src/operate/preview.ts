// What a rule does to a hundred rows, before → after, without anything being written.
import { get } from "../api.ts";
import { button, fill, h } from "../dom.ts";
import { formatCount } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { settle } from "../states.ts";
import type { Preview } from "../types.ts";

function shown(value: unknown): string {
  return value === null || value === undefined ? t("nothing") : String(value);
}

/** A button that reads the preview, and the preview. */
export function preview(pipeline: string, stream: string, rule: string, signal: AbortSignal): HTMLElement {
  const place = h("div", { "aria-live": "polite" });
  const read = (): void => {
    void settle(place, signal, async () => {
      const found = await get<Preview>("/api/preview", { pipeline, stream, rule }, signal);
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
      const remarks = found.remarks.map((remark) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "code" }, remark.key),
          h("td", {}, remark.what),
          h("td", {}, remark.message),
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
      const made = h(
        "div",
        { class: "stack" },
        h(
          "p",
          { class: "muted" },
          t("preview_of", {
            rows: formatCount(found.rows),
            changes: plural("changes", changes.length, formatCount(changes.length)),
            remarks: plural("remarks", remarks.length, formatCount(remarks.length)),
          }),
        ),
        changes.length > 0 ? list([t("record"), t("field"), t("before"), t("after")], changes, t("changes")) : null,
        remarks.length > 0 ? list([t("record"), t("what"), t("why")], remarks, t("remarks")) : null,
      );
      return made;
    });
  };
  const section = h("section", { class: "section" });
  fill(
    section,
    h("h3", {}, t("preview")),
    h("p", { class: "muted small" }, t("preview_about")),
    button(t("preview_read"), read),
    place,
  );
  return section;
}
