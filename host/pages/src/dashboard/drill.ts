// The panel with the rows behind a figure or a mark: a tab for each drill of the mart, and the corrections of each record.
import { address, get, type Parameters } from "../api.ts";
import { labelOf } from "../charts/options.ts";
import { openDialog, openStep } from "../dialog.ts";
import { button, fill, h, prose } from "../dom.ts";
import { fileName, save } from "../download.ts";
import { filterLabels, isSet } from "../filters.ts";
import { formatCell, formatCount } from "../format.ts";
import { columnLabel, heading, plural, t } from "../i18n.ts";
import { settle } from "../states.ts";
import { monthColumns, pager, type Row, table, tabs } from "../table.ts";
import type { Drill, DrillRows, Filter, Item, Repair, Rows } from "../types.ts";
import { recordHistory, repairLine } from "./record.ts";

/** The column with the corrections of a row, which is added to those of the drill. */
const REPAIRS = "_repairs";

/** A row of an item, with the filters that it was read with. */
export interface DrillTarget {
  item: Item;
  title: string;
  data: Rows;
  row: Row;
  filters: Filter[];
  query: URLSearchParams;
}

function repairCell(repairs: Repair[]): HTMLElement {
  if (repairs.length === 0) return h("span", { class: "muted" }, "–");
  const count = h("span", { class: "badge accent" }, plural("repairs", repairs.length, formatCount(repairs.length)));
  return h(
    "details",
    { class: "repair-cell" },
    h("summary", {}, count),
    h("ul", { class: "repairs" }, repairs.map(repairLine)),
  );
}

/** The parameters that select the row, beside the filters. */
function rowParameters({ item, data, row }: DrillTarget): Parameters {
  const parameters: Parameters = {};
  for (const name of item.drill_key) {
    const value = row[data.columns.findIndex((column) => column.name === name)];
    if (value !== null && value !== undefined) parameters[`row.${name}`] = String(value);
  }
  return parameters;
}

/** What the drills are limited to, in words: the row's key and the filters. */
function scope({ item, data, row, filters, query }: DrillTarget): string[] {
  const months = monthColumns(data.columns, data.rows);
  const label = (name: string): string => (item.kind === "figure" ? columnLabel(name) : labelOf(item, name));
  const key = data.columns
    .map((column, index) => ({ column, value: row[index] }))
    .filter(({ column }) => item.drill_key.includes(column.name) || (item.kind !== "figure" && column.name === item.x))
    .map(({ column, value }) => `${label(column.name)}: ${formatCell(value, column, months.has(column.name))}`);
  const applied = filters.filter((filter) => !item.without.includes(filter.name) && isSet(filter, query));
  return [...key, ...applied.flatMap((filter) => filterLabels(filter, query).map(({ text }) => text))];
}

/** Opens the panel with the rows behind `target`. */
export function openDrills(target: DrillTarget): void {
  const { item, title } = target;
  const limits = scope(target);
  const dialog = openDialog(
    title,
    "side",
    limits.length > 0 ? h("p", { class: "muted drill-key" }, limits.join(" · ")) : null,
  );
  const query = new URLSearchParams(target.query);
  for (const [name, value] of Object.entries(rowParameters(target))) query.set(name, String(value));
  const draw = (name: string, panel: HTMLElement): void => {
    const drill = item.drills.find((candidate) => candidate.name === name);
    if (drill) drawDrill(item, drill, query, panel, dialog.body, dialog.signal);
  };
  dialog.body.append(
    tabs(
      t("drills"),
      item.drills.map((drill) => [drill.name, heading(drill.name)]),
      draw,
    ),
  );
}

function drawDrill(
  item: Item,
  drill: Drill,
  query: URLSearchParams,
  panel: HTMLElement,
  body: HTMLElement,
  signal: AbortSignal,
): void {
  const path = `/api/items/${encodeURIComponent(item.name)}/drills/${encodeURIComponent(drill.name)}`;
  const title = heading(drill.name);
  const list = h("div", {});
  fill(
    panel,
    h(
      "div",
      { class: "drill-head" },
      drill.description ? h("p", { class: "muted" }, prose(drill.description)) : null,
      button("CSV", () => save(address(`${path}.csv`, query), fileName(drill.name, "csv")), {
        "aria-label": t("csv_of", { what: title }),
      }),
    ),
    list,
  );
  const read = (page: number): void => {
    void settle(list, signal, async () => {
      const pageQuery = new URLSearchParams(query);
      pageQuery.set("page", String(page));
      const found = await get<DrillRows>(path, pageQuery, signal);
      const recordIndex = found.columns.findIndex((column) => column.name === found.record);
      const hasRecords = Boolean(found.stream && recordIndex >= 0);
      const repairs = new Map(found.rows.map((row, index) => [row, found.repairs?.[index] ?? []]));
      if (hasRecords) {
        found.columns.push({ name: REPAIRS, type: "VARCHAR" });
        for (const [row, rowRepairs] of repairs) row.push(rowRepairs.length);
      }
      const open = (row: Row): void => {
        if (found.stream)
          openStep(body, t("back_to_rows"), recordHistory(found.stream, String(row[recordIndex]), signal));
      };
      const canOpen = (row: Row): boolean => (row[recordIndex] ?? null) !== null;
      const pageSize = found.page_size ?? 100;
      const total = found.total ?? null;
      return [
        table({
          columns: found.columns,
          rows: found.rows,
          caption: title,
          lead: [found.record ?? "", REPAIRS],
          // These columns are the same in every row, and the panel's head shows them.
          hidden: item.drill_key,
          labels: { [REPAIRS]: t("repairs") },
          ...(hasRecords ? { open: { label: t("record_history"), run: open, can: canOpen } } : {}),
          cell: (column, _value, row) => (column.name === REPAIRS ? repairCell(repairs.get(row) ?? []) : undefined),
        }),
        pager(
          page,
          total !== null ? page * pageSize < total : found.rows.length === pageSize,
          read,
          total !== null ? plural("rows", total, formatCount(total)) : undefined,
        ) ?? h("span", {}),
      ];
    });
  };
  read(1);
}
