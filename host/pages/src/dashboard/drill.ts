// The panel behind a figure or a mark: the mart's drills as tabs, their rows, the repairs of each record.
import { address, get, type Parameters } from "../api.ts";
import { openDialog, step } from "../dialog.ts";
import { button, fill, h, prose } from "../dom.ts";
import { fileName, save } from "../download.ts";
import { formatCell, formatCount } from "../format.ts";
import { plural, t, words } from "../i18n.ts";
import { settle } from "../states.ts";
import { pager, type Row, table, tabs } from "../table.ts";
import type { Drill, DrillRows, Item, Repair, Rows } from "../types.ts";
import { recordStory, repairLine } from "./record.ts";

/** The column of repairs, beside those of the drill. */
const REPAIRS = "_repairs";

function repairCell(made: Repair[]): HTMLElement {
  if (made.length === 0) return h("span", { class: "muted" }, "–");
  const count = h("span", { class: "badge accent" }, plural("repairs", made.length, formatCount(made.length)));
  return h(
    "details",
    { class: "repair-cell" },
    h("summary", {}, count),
    h("ul", { class: "repairs" }, made.map(repairLine)),
  );
}

/** What names the row of an item, beside the filters. */
function keyOf(item: Item, data: Rows, row: Row): Parameters {
  const key: Parameters = {};
  for (const name of item.drill_key) {
    const value = row[data.columns.findIndex((column) => column.name === name)];
    if (value !== null && value !== undefined) key[`row.${name}`] = String(value);
  }
  return key;
}

/** Opens the rows behind `row` of an item, as the filters leave them. */
export function openDrills(item: Item, title: string, data: Rows, row: Row, query: URLSearchParams): void {
  const facts = data.columns
    .map((column, at) => ({ column, value: row[at] }))
    .filter(({ column }) => item.drill_key.includes(column.name) || (item.kind !== "figure" && column.name === item.x))
    .map(({ column, value }) => `${words(column.name)}: ${formatCell(value, column)}`);
  const chosen = [...query].filter(([name]) => !item.without.includes(name));
  facts.push(...chosen.map(([name, value]) => `${words(name)}: ${value}`));
  const dialog = openDialog(
    title,
    "side",
    facts.length > 0 ? h("p", { class: "muted drill-key" }, facts.join(" · ")) : null,
  );
  const asked = new URLSearchParams(query);
  for (const [name, value] of Object.entries(keyOf(item, data, row))) asked.set(name, String(value));
  const draw = (name: string, panel: HTMLElement): void => {
    const drill = item.drills.find((one) => one.name === name);
    if (drill) drillRows(item, drill, asked, panel, dialog.body, dialog.signal);
  };
  dialog.body.append(
    tabs(
      t("drills"),
      item.drills.map((drill) => [drill.name, words(drill.name)]),
      draw,
    ),
  );
}

function drillRows(
  item: Item,
  drill: Drill,
  asked: URLSearchParams,
  panel: HTMLElement,
  body: HTMLElement,
  signal: AbortSignal,
): void {
  const path = `/api/items/${encodeURIComponent(item.name)}/drills/${encodeURIComponent(drill.name)}`;
  const list = h("div", {});
  fill(
    panel,
    h(
      "div",
      { class: "drill-head" },
      drill.description ? h("p", { class: "muted" }, prose(drill.description)) : null,
      button("CSV", () => save(address(`${path}.csv`, asked), fileName(drill.name, "csv")), {
        "aria-label": t("csv_of", { what: words(drill.name) }),
      }),
    ),
    list,
  );
  const read = (page: number): void => {
    void settle(list, signal, async () => {
      const query = new URLSearchParams(asked);
      query.set("page", String(page));
      const found = await get<DrillRows>(path, query, signal);
      const at = found.columns.findIndex((column) => column.name === found.record);
      const hasRecords = Boolean(found.stream && at >= 0);
      const repairs = new Map(found.rows.map((row, place) => [row, found.repairs?.[place] ?? []]));
      if (hasRecords) {
        found.columns.push({ name: REPAIRS, type: "VARCHAR" });
        for (const [row, made] of repairs) row.push(made.length);
      }
      const open = (row: Row): void => {
        if (found.stream) step(body, t("back_to_rows"), recordStory(found.stream, String(row[at]), signal));
      };
      const size = found.page_size ?? 100;
      return [
        table({
          columns: found.columns,
          rows: found.rows,
          caption: words(drill.name),
          // The record leads and its repairs follow; what is the same in every row is said above.
          lead: [found.record ?? "", REPAIRS],
          hidden: item.drill_key,
          labels: { [REPAIRS]: t("repairs") },
          ...(hasRecords
            ? { open: { label: t("story_of_record"), run: open, can: (row: Row) => (row[at] ?? null) !== null } }
            : {}),
          cell: (column, _value, row) => (column.name === REPAIRS ? repairCell(repairs.get(row) ?? []) : undefined),
        }),
        pager(
          page,
          found.total !== null && found.total !== undefined ? page * size < found.total : found.rows.length === size,
          read,
          found.total !== null && found.total !== undefined
            ? plural("rows", found.total, formatCount(found.total))
            : undefined,
        ) ?? h("span", {}),
      ];
    });
  };
  read(1);
}
