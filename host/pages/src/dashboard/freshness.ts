// How fresh and how sound the figures are: a line under each, and the whole in a panel.
import { get } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { button, h } from "../dom.ts";
import { formatAgo, formatNumber, formatTime } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { table } from "../table.ts";
import type { Freshness, Item, ItemRows } from "../types.ts";

export class Quality {
  private found: Freshness | null = null;

  /** Reads it; figures are shown without where that fails. */
  async read(signal: AbortSignal): Promise<void> {
    try {
      this.found = await get<Freshness>("/api/freshness", {}, signal);
    } catch {
      this.found = null;
    }
  }

  private shares(): { repaired: number | null; rejected: number | null } {
    const streams = this.found?.streams ?? [];
    const all = streams.reduce((sum, stream) => sum + (stream.rows ?? 0), 0);
    if (all === 0) return { repaired: null, rejected: null };
    const part = (name: "repaired" | "rejected"): number =>
      streams.reduce((sum, stream) => sum + (stream[name] ?? 0), 0) / all;
    return { repaired: part("repaired"), rejected: part("rejected") };
  }

  /** One line for an item: how old, whether its tests hold, how much of it was repaired. */
  line(_item: Item, data: ItemRows): HTMLElement {
    const at = data.loaded_at ?? data.built_at;
    const { repaired, rejected } = this.shares();
    const failing = this.found?.failing_tests?.length ?? 0;
    const parts = [
      at
        ? h("time", { datetime: at, title: formatTime(at) }, t("fresh", { ago: formatAgo(at) }))
        : h("span", {}, t("never_loaded")),
      failing > 0
        ? h("span", { class: "bad" }, plural("tests_fail", failing, String(failing)))
        : this.found
          ? h("span", {}, t("tests_hold"))
          : null,
      repaired !== null ? h("span", {}, t("repaired_share", { share: formatNumber(repaired, "percent") })) : null,
      rejected ? h("span", {}, t("rejected_share", { share: formatNumber(rejected, "percent") })) : null,
    ];
    return h("p", { class: "quality" }, parts.filter(Boolean));
  }

  /** The sentence at the page's head, with the panel behind it. */
  head(): HTMLElement | null {
    const found = this.found;
    if (!found) return null;
    const at = found.published_at;
    return h(
      "p",
      { class: "freshness" },
      at ? t("published", { ago: formatAgo(at) }) : t("never_built"),
      " ",
      button(t("freshness_more"), () => this.open(), { class: "quiet" }),
    );
  }

  private open(): void {
    const dialog = openDialog(t("freshness_title"), "side", h("p", { class: "muted" }, t("freshness_about")));
    const streams = this.found?.streams ?? [];
    dialog.body.append(
      table({
        caption: t("freshness_title"),
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
      this.found?.failing_tests?.length
        ? h(
            "ul",
            { class: "plain" },
            this.found.failing_tests.map((test) => h("li", {}, typeof test === "string" ? test : JSON.stringify(test))),
          )
        : h("p", { class: "muted" }, t("tests_hold")),
    );
  }
}
