// Freshness and quality of the data: a line below each figure, a sentence at the top of the page, a panel with all.
import { get } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { button, h } from "../dom.ts";
import { formatAgo, formatCount, formatNumber, formatTime } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { table } from "../table.ts";
import type { Freshness, ItemRows } from "../types.ts";

export class DataQuality {
  private freshness: Freshness | null = null;

  /** Reads the freshness. If that fails, the figures are shown without it. */
  async read(signal: AbortSignal): Promise<void> {
    try {
      this.freshness = await get<Freshness>("/api/freshness", {}, signal);
    } catch {
      this.freshness = null;
    }
  }

  private shares(): { repaired: number | null; rejected: number | null } {
    const streams = this.freshness?.streams ?? [];
    const all = streams.reduce((sum, stream) => sum + (stream.rows ?? 0), 0);
    if (all === 0) return { repaired: null, rejected: null };
    const share = (name: "repaired" | "rejected"): number =>
      streams.reduce((sum, stream) => sum + (stream[name] ?? 0), 0) / all;
    return { repaired: share("repaired"), rejected: share("rejected") };
  }

  /** The line below an item: when it was updated, the result of the tests, the share of corrected records. */
  line(data: ItemRows): HTMLElement {
    const updatedAt = data.loaded_at ?? data.built_at;
    const { repaired, rejected } = this.shares();
    const failed = this.freshness?.failing_tests?.length ?? 0;
    const parts = [
      updatedAt
        ? h("time", { datetime: updatedAt, title: formatTime(updatedAt) }, t("updated", { ago: formatAgo(updatedAt) }))
        : h("span", {}, t("never_loaded")),
      failed > 0
        ? h("span", { class: "bad" }, plural("tests_failed", failed, formatCount(failed)))
        : this.freshness
          ? h("span", {}, t("tests_passed"))
          : null,
      repaired !== null ? h("span", {}, t("corrected_share", { share: formatNumber(repaired, "percent") })) : null,
      rejected ? h("span", {}, t("rejected_share", { share: formatNumber(rejected, "percent") })) : null,
    ];
    return h("p", { class: "quality" }, parts.filter(Boolean));
  }

  /** The sentence at the top of the page, with a button that opens the panel. */
  head(): HTMLElement | null {
    if (!this.freshness) return null;
    const publishedAt = this.freshness.published_at;
    return h(
      "p",
      { class: "freshness" },
      publishedAt ? t("published", { ago: formatAgo(publishedAt) }) : t("never_published"),
      " ",
      button(t("freshness"), () => this.openPanel(), { class: "quiet" }),
    );
  }

  private openPanel(): void {
    const dialog = openDialog(t("freshness"), "side", h("p", { class: "muted" }, t("freshness_about")));
    const streams = this.freshness?.streams ?? [];
    const failed = this.freshness?.failing_tests ?? [];
    dialog.body.append(
      table({
        caption: t("freshness"),
        columns: [
          { name: "stream", type: "VARCHAR" },
          { name: "loaded_at", type: "TIMESTAMP" },
          { name: "rows", type: "BIGINT" },
          { name: "repaired", type: "BIGINT" },
          { name: "rejected", type: "BIGINT" },
        ],
        rows: streams.map((stream) => [stream.stream, stream.loaded_at, stream.rows, stream.repaired, stream.rejected]),
      }),
      h("h3", {}, t("tests")),
      failed.length > 0
        ? h(
            "ul",
            { class: "plain" },
            failed.map((test) => h("li", {}, test)),
          )
        : h("p", { class: "muted" }, t("all_tests_passed")),
    );
  }
}
