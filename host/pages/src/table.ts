// Tables with right-aligned numbers, sortable columns and rows that open details; pagers; tabs.
import { button, type Child, fill, h } from "./dom.ts";
import { type Column, type Format, formatCell, isNumeric, toNumber } from "./format.ts";
import { columnLabel, t } from "./i18n.ts";

export type Row = unknown[];

/** The largest number of rows that a table draws. The CSV file has all rows. */
const MAX_ROWS = 500;

export interface TableOptions {
  columns: Column[];
  rows: Row[];
  /** What the table shows, for screen readers. */
  caption: string;
  formats?: Record<string, Format>;
  /** Headings that replace the columns' own. */
  labels?: Record<string, string>;
  /** Columns that are not drawn. */
  hidden?: string[];
  /** Columns that come first, in this order. */
  lead?: string[];
  /** Makes the first cell of each row a button; `can` tells for which rows. */
  open?: { label: string; run: (row: Row) => void; can?: (row: Row) => boolean };
  /** Draws a cell; undefined keeps the formatted value. */
  cell?: (column: Column, value: unknown, row: Row) => Child | undefined;
}

function compare(left: unknown, right: unknown, numeric: boolean): number {
  const leftMissing = left === null || left === undefined;
  const rightMissing = right === null || right === undefined;
  if (leftMissing || rightMissing) return Number(leftMissing) - Number(rightMissing);
  if (numeric) return (toNumber(left) ?? 0) - (toNumber(right) ?? 0);
  return String(left).localeCompare(String(right), undefined, { numeric: true });
}

/** Date columns in which every date is the first day of a month. */
export function monthColumns(columns: Column[], rows: Row[]): Set<string> {
  const months = new Set<string>();
  columns.forEach((column, index) => {
    const isMonth = rows.every((row) => (row[index] ?? null) === null || String(row[index]).endsWith("-01"));
    if (/^DATE$/i.test(column.type) && rows.length > 0 && isMonth) months.add(column.name);
  });
  return months;
}

export function table(options: TableOptions): HTMLElement {
  const { columns, rows, open } = options;
  const shown = columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => !options.hidden?.includes(column.name));
  const lead = options.lead ?? [];
  const position = (name: string): number => (lead.includes(name) ? lead.indexOf(name) : lead.length);
  shown.sort((left, right) => position(left.column.name) - position(right.column.name));
  const months = monthColumns(columns, rows);
  const body = h("tbody");
  let sorting: { index: number; isDescending: boolean } | null = null;

  const cells = (row: Row): HTMLElement[] =>
    shown.map(({ column, index }, position) => {
      const text: Child =
        options.cell?.(column, row[index], row) ??
        formatCell(row[index], column, months.has(column.name), options.formats?.[column.name]);
      const canOpen = position === 0 && open && (open.can?.(row) ?? true);
      const content = canOpen ? button(text, () => open.run(row), { class: "cell-button", title: open.label }) : text;
      const kind = isNumeric(column.type) ? "number" : /^(DATE|TIME)/i.test(column.type) ? "time" : "";
      return position === 0 ? h("th", { scope: "row", class: kind }, content) : h("td", { class: kind }, content);
    });
  const draw = (): void => {
    const order = [...rows];
    if (sorting) {
      const { index, isDescending } = sorting;
      const numeric = isNumeric(columns[index]?.type ?? "");
      order.sort((left, right) => compare(left[index], right[index], numeric) * (isDescending ? -1 : 1));
    }
    fill(
      body,
      order.slice(0, MAX_ROWS).map((row) => h("tr", {}, cells(row))),
    );
  };
  const heads = shown.map(({ column, index }) => {
    const head = h("th", { scope: "col", class: isNumeric(column.type) ? "number" : "" });
    const sort = (): void => {
      sorting = { index, isDescending: sorting?.index === index ? !sorting.isDescending : isNumeric(column.type) };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorting.isDescending ? "descending" : "ascending");
      draw();
    };
    head.append(button(options.labels?.[column.name] ?? columnLabel(column.name), sort, { class: "head-button" }));
    return head;
  });
  draw();
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": options.caption, tabindex: 0 },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, options.caption),
      h("thead", {}, h("tr", {}, heads)),
      body,
    ),
    rows.length === 0 ? h("p", { class: "empty" }, t("no_rows")) : null,
    rows.length > MAX_ROWS ? h("p", { class: "empty" }, t("more_rows", { count: rows.length - MAX_ROWS })) : null,
  );
}

/** Buttons to the previous and the next page; pages start at 1. */
export function pager(page: number, hasMore: boolean, go: (page: number) => void, total?: string): HTMLElement | null {
  if (page <= 1 && !hasMore) return total ? h("p", { class: "pager" }, h("span", {}, total)) : null;
  return h(
    "nav",
    { class: "pager", "aria-label": t("table_pages") },
    button(t("previous"), () => go(page - 1), { disabled: page <= 1 }),
    h("span", { "aria-current": "page" }, t("page_number", { page }), total ? ` · ${total}` : ""),
    button(t("next"), () => go(page + 1), { disabled: !hasMore }),
  );
}

/** Tabs, which the arrow keys move between; `draw` fills the panel of the selected tab. */
export function tabs(
  label: string,
  names: [key: string, title: string][],
  draw: (key: string, panel: HTMLElement) => void,
): HTMLElement {
  const panel = h("div", { role: "tabpanel", class: "panel", tabindex: -1 });
  const select = (index: number, focus: boolean): void => {
    buttons.forEach((other, position) => {
      other.setAttribute("aria-selected", String(position === index));
      other.tabIndex = position === index ? 0 : -1;
    });
    if (focus) buttons[index]?.focus();
    panel.setAttribute("aria-label", names[index]?.[1] ?? "");
    panel.replaceChildren();
    draw(names[index]?.[0] ?? "", panel);
  };
  const buttons = names.map(([, title], index) =>
    button(title, () => select(index, false), {
      role: "tab",
      class: "tab",
      on: {
        keydown: (event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (step !== 0) select((index + step + names.length) % names.length, true);
        },
      },
    }),
  );
  select(0, false);
  return h("div", {}, h("div", { role: "tablist", class: "tabs", "aria-label": label }, buttons), panel);
}
