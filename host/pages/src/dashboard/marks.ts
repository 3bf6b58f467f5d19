// Marks of a chart and filters: the filter that a click sets, and the marks that match the filters.
import { button, h } from "../dom.ts";
import { isSet, selectedValues } from "../filters.ts";
import { formatCell } from "../format.ts";
import { t } from "../i18n.ts";
import { monthColumns, type Row } from "../table.ts";
import type { Chart, Filter, ItemRows } from "../types.ts";

/** The filter and the value that a click on the mark of `row` sets. */
export function clickTarget(
  chart: Chart,
  filters: Filter[],
  data: ItemRows,
  row: Row,
): { filter: Filter; value: string } | null {
  for (const [column, name] of Object.entries(chart.filter_on_click ?? {})) {
    const filter = filters.find((candidate) => candidate.name === name);
    const value = row[data.columns.findIndex((candidate) => candidate.name === column)];
    if (filter && value !== null && value !== undefined) return { filter, value: String(value) };
  }
  return null;
}

/** Rows whose category is selected by a filter, by category; empty if no filter is on the chart's x column. */
export function selectedMarks(
  chart: Chart,
  filters: Filter[],
  query: URLSearchParams,
  data: ItemRows,
): Map<string, Row> {
  const selected = new Map<string, Row>();
  for (const [columnName, name] of Object.entries(chart.filter_on_click ?? {})) {
    const filter = filters.find((candidate) => candidate.name === name);
    if (!filter || !isSet(filter, query) || columnName !== chart.x) continue;
    const index = data.columns.findIndex((candidate) => candidate.name === columnName);
    const column = data.columns[index];
    const months = monthColumns(data.columns, data.rows);
    const values = new Set(selectedValues(filter, query));
    for (const row of data.rows) {
      if (column && values.has(String(row[index])))
        selected.set(formatCell(row[index], column, months.has(columnName)), row);
    }
  }
  return selected;
}

/** If exactly one mark is selected: its name, a button to its details, and a button that shows all marks again. */
export function selectionLine(
  selected: Map<string, Row>,
  click: (row: Row) => void,
  open: ((row: Row) => void) | null,
): HTMLElement | null {
  const [only] = selected;
  if (!only || selected.size > 1) return null;
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
