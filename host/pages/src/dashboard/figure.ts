// The card of a figure: its value, why it has none, its trend, and the freshness and quality of its data.
import { get } from "../api.ts";
import { sparkline } from "../charts/sparkline.ts";
import { button, h } from "../dom.ts";
import { formatDate, formatNumber, toNumber } from "../format.ts";
import { localized, t } from "../i18n.ts";
import { figureStatusLabel } from "../labels.ts";
import { settle } from "../states.ts";
import type { Row } from "../table.ts";
import type { Figure, Filter, ItemRows, Rows } from "../types.ts";
import { openDrills } from "./drill.ts";
import type { DataQuality } from "./quality.ts";

function cell(data: Rows, row: Row | undefined, name: string): unknown {
  return row?.[data.columns.findIndex((column) => column.name === name)];
}

/** Why the figure has no value, or how far it can be trusted. */
function statusLine(status: unknown): HTMLElement | null {
  if (typeof status !== "string" || status === "" || status === "ok") return null;
  return h("p", { class: "figure-status", "data-status": status }, figureStatusLabel(status));
}

/** The trend as a line, and its last change in words: from the value before, for better or for worse. */
function trendOf(figure: Figure, trend: Rows | null | undefined): HTMLElement | null {
  if (!trend || trend.rows.length < 2) return null;
  const valueIndex = trend.columns.findIndex((column) => column.name === "value");
  const monthIndex = trend.columns.findIndex((column) => column.name !== "value");
  const points = trend.rows.map((row) => ({ month: String(row[monthIndex] ?? ""), value: toNumber(row[valueIndex]) }));
  const line = sparkline(points.map((point) => point.value));
  const known = points.filter((point) => point.value !== null);
  const last = known.at(-1);
  const previous = known.at(-2);
  if (!line || !last || !previous || last.value === null || previous.value === null) return null;
  const change = previous.value === 0 ? null : last.value / previous.value - 1;
  const isBetter = change !== null && (figure.good === "down" ? change < 0 : change > 0);
  const tone = change === null || Math.abs(change) < 0.005 || !figure.good ? null : isBetter ? "good" : "bad";
  const arrow = change === null ? "" : change > 0 ? "↑" : change < 0 ? "↓" : "→";
  return h(
    "div",
    { class: "figure-trend" },
    line,
    h(
      "p",
      { class: `figure-change ${tone ?? ""}` },
      change === null
        ? null
        : [
            h("span", { "aria-hidden": "true" }, `${arrow} ${formatNumber(Math.abs(change), "percent")}`),
            h(
              "span",
              { class: "visually-hidden" },
              t(change >= 0 ? "trend_up" : "trend_down", { by: formatNumber(Math.abs(change), "percent") }),
              ". ",
              tone ? t(`trend_${tone}`) : "",
            ),
          ],
      h("span", { class: "muted" }, ` ${formatDate(last.month, true)}: ${formatNumber(last.value, figure.format)}`),
    ),
  );
}

export interface Card {
  node: HTMLElement;
  /** Reads the item with these filters. */
  refresh: (query: URLSearchParams) => Promise<void>;
}

export function figureCard(figure: Figure, filters: Filter[], quality: DataQuality, signal: AbortSignal): Card {
  const label = localized(figure.label, figure.name);
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
      const status = statusLine(cell(data, row, "status"));
      const description = localized(figure.description);
      return [
        h("p", { class: "figure-value" }, value === null ? "–" : formatNumber(value, figure.format)),
        status ?? (value === null ? h("p", { class: "figure-status" }, figureStatusLabel("none")) : ""),
        trendOf(figure, data.trend) ?? "",
        description ? h("p", { class: "figure-about" }, description) : "",
        h(
          "div",
          { class: "figure-foot" },
          quality.line(data),
          figure.drills.length > 0 && row
            ? button(t("details"), () => openDrills({ item: figure, title: label, data, row, filters, query }), {
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
