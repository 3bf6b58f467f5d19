// What a click on a mark filters, and the marks that filters keep.
import { button, h } from "../dom.ts";
import { chosen, isSet } from "../filters.ts";
import { formatCell } from "../format.ts";
import { t } from "../i18n.ts";
import { monthColumns, type Row } from "../table.ts";
import type { Chart, Filter, ItemRows } from "../types.ts";

/** What a click on the row's mark filters: the filter and the value. */
export function clickOf(
  chart: Chart,
  filters: Filter[],
  data: ItemRows,
  row: Row,
): { filter: Filter; value: string } | null {
  for (const [column, name] of Object.entries(chart.filter_on_click ?? {})) {
    const filter = filters.find((one) => one.name === name);
    const value = row[data.columns.findIndex((one) => one.name === column)];
    if (filter && value !== null && value !== undefined) return { filter, value: String(value) };
  }
  return null;
}

/** The rows whose category a filter keeps, by category, where the chart's own column is filtered. */
export function selected(chart: Chart, filters: Filter[], query: URLSearchParams, data: ItemRows): Map<string, Row> {
  const kept = new Map<string, Row>();
  for (const [column, name] of Object.entries(chart.filter_on_click ?? {})) {
    const filter = filters.find((one) => one.name === name);
    if (!filter || !isSet(filter, query) || column !== chart.x) continue;
    const at = data.columns.findIndex((one) => one.name === column);
    const months = monthColumns(data.columns, data.rows);
    const type = data.columns[at];
    const values = new Set(chosen(filter, query));
    for (const row of data.rows) {
      if (type && values.has(String(row[at]))) kept.set(formatCell(row[at], type, months.has(column)), row);
    }
  }
  return kept;
}

/** Names the one mark that is kept, with ways to what is behind it and back to all; nothing where it is not one. */
export function selectedLine(
  kept: Map<string, Row>,
  click: (row: Row) => void,
  open: ((row: Row) => void) | null,
): HTMLElement | null {
  const [only] = kept;
  if (!only || kept.size > 1) return null;
  const [name, row] = only;
  return h(
    "p",
    { class: "selected" },
    t("only", { what: name }),
    open
      ? button(t("details"), () => open(row), { class: "quiet drill", "aria-label": t("details_of", { what: name }) })
      : null,
    button(t("show_all"), () => click(row), { class: "quiet" }),
  );
}
