// A card of one figure: the number, its past, why there is none, how fresh and how sound what it rests on is.
import { get } from "../api.ts";
import { sparkline } from "../charts/spark.ts";
import { button, h } from "../dom.ts";
import { formatDate, formatNumber, toNumber } from "../format.ts";
import { has, named, t } from "../i18n.ts";
import { settle } from "../states.ts";
import type { Row } from "../table.ts";
import type { Figure, ItemRows, Rows } from "../types.ts";
import { openDrills } from "./drill.ts";
import type { Quality } from "./freshness.ts";

function cell(data: Rows, row: Row | undefined, name: string): unknown {
  return row?.[data.columns.findIndex((column) => column.name === name)];
}

/** A status of a mart in words: why there is no number, or how far to trust it. */
function statusOf(status: unknown): HTMLElement | null {
  if (typeof status !== "string" || status === "" || status === "ok") return null;
  const key = `status_${status}`;
  return h("p", { class: "figure-status", "data-status": status }, has(key) ? t(key) : status.replaceAll("_", " "));
}

/** The past as a line, and in words for who does not see it: how far it is from a year before, good or bad. */
function past(figure: Figure, trend: Rows | null | undefined): HTMLElement | null {
  if (!trend || trend.rows.length < 2) return null;
  const at = trend.columns.findIndex((column) => column.name === "value");
  const when = trend.columns.findIndex((column) => column.name !== "value");
  const points = trend.rows.map((row) => ({ when: String(row[when] ?? ""), value: toNumber(row[at]) }));
  const line = sparkline(points.map((point) => point.value));
  const known = points.filter((point) => point.value !== null);
  const last = known.at(-1);
  const before = known.at(-2);
  if (!line || !last || !before || last.value === null || before.value === null) return null;
  const change = before.value === 0 ? null : last.value / before.value - 1;
  const isBetter = change !== null && (figure.good === "down" ? change < 0 : change > 0);
  const tone = change === null || Math.abs(change) < 0.005 || !figure.good ? "" : isBetter ? "good" : "bad";
  const sign = change === null ? "" : change > 0 ? "↑" : change < 0 ? "↓" : "→";
  const month = formatDate(last.when, true);
  return h(
    "div",
    { class: "figure-past" },
    line,
    h(
      "p",
      { class: `figure-change ${tone}` },
      change === null
        ? null
        : h("span", { "aria-hidden": "true" }, `${sign} ${formatNumber(Math.abs(change), "percent")}`),
      h(
        "span",
        { class: "visually-hidden" },
        change === null ? "" : t(change >= 0 ? "rose" : "fell", { by: formatNumber(Math.abs(change), "percent") }),
        ". ",
        tone ? t(tone as "good" | "bad") : "",
      ),
      h("span", { class: "muted" }, ` ${month}: ${formatNumber(last.value, figure.format)}`),
    ),
  );
}

export interface Card {
  node: HTMLElement;
  /** Reads the figure anew for these filters. */
  refresh: (query: URLSearchParams) => Promise<void>;
}

export function figureCard(figure: Figure, quality: Quality, signal: AbortSignal): Card {
  const label = named(figure.label, figure.name);
  const body = h("div", { class: "figure-body" });
  const node = h(
    "article",
    { class: "card figure", "data-item": figure.name, "aria-label": label },
    h("h3", { class: "figure-label" }, label),
    body,
  );
  let reading = new AbortController();
  signal.addEventListener("abort", () => reading.abort());
  const refresh = (query: URLSearchParams): Promise<void> => {
    reading.abort();
    reading = new AbortController();
    return settle(body, reading.signal, async () => {
      const data = await get<ItemRows>(`/api/items/${encodeURIComponent(figure.name)}`, query, reading.signal);
      const row = data.rows[0];
      const value = toNumber(cell(data, row, "value"));
      const status = statusOf(cell(data, row, "status"));
      const description = named(figure.description);
      return [
        h("p", { class: "figure-value" }, value === null ? "–" : formatNumber(value, figure.format)),
        status ?? (value === null ? h("p", { class: "figure-status" }, t("status_none")) : ""),
        past(figure, data.trend) ?? "",
        description ? h("p", { class: "figure-about" }, description) : "",
        h(
          "div",
          { class: "figure-foot" },
          quality.line(figure, data),
          figure.drills.length > 0 && row
            ? button(t("details"), () => openDrills(figure, label, data, row, query), {
                class: "quiet drill",
                "aria-label": t("details_of", { what: label }),
              })
            : null,
        ),
      ].filter((part): part is HTMLElement => part !== "");
    });
  };
  return { node, refresh };
}
