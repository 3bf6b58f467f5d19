// A real table of rows: right-aligned numbers, columns that sort, rows that open something.
import { button, type Child, fill, h } from "./dom.ts";
import { type Column, type Format, formatCell, isNumeric, toNumber } from "./format.ts";
import { t, words } from "./i18n.ts";

export type Row = unknown[];

/** Rows that are drawn at most; the others are in the CSV. */
const MOST_ROWS = 500;

export interface TableOptions {
  columns: Column[];
  rows: Row[];
  /** What the table shows; said by a screen reader, not drawn. */
  caption: string;
  formats?: Record<string, Format>;
  /** Names of columns where the data's own are not to be shown. */
  labels?: Record<string, string>;
  /** Columns that are there for keys alone. */
  hidden?: string[];
  /** Columns that stand first, in this order. */
  lead?: string[];
  /** What a row's first cell does as a button. */
  open?: { label: string; run: (row: Row) => void; can?: (row: Row) => boolean };
  /** Draws a cell in place of its text; undefined leaves it. */
  cell?: (column: Column, value: unknown, row: Row) => Child | undefined;
}

function compare(left: unknown, right: unknown, numeric: boolean): number {
  const leftMissing = left === null || left === undefined;
  const rightMissing = right === null || right === undefined;
  if (leftMissing || rightMissing) return Number(leftMissing) - Number(rightMissing);
  if (numeric) return (toNumber(left) ?? 0) - (toNumber(right) ?? 0);
  return String(left).localeCompare(String(right), undefined, { numeric: true });
}

/** Names of the columns of days that are all first ones of a month. */
export function monthColumns(columns: Column[], rows: Row[]): Set<string> {
  const months = new Set<string>();
  columns.forEach((column, at) => {
    const isMonth = rows.every((row) => row[at] === null || row[at] === undefined || String(row[at]).endsWith("-01"));
    if (/^DATE$/i.test(column.type) && rows.length > 0 && isMonth) months.add(column.name);
  });
  return months;
}

export function table(options: TableOptions): HTMLElement {
  const { columns, rows, open } = options;
  const shown = columns
    .map((column, at) => ({ column, at }))
    .filter(({ column }) => !options.hidden?.includes(column.name));
  const lead = options.lead ?? [];
  const weight = (name: string): number => (lead.includes(name) ? lead.indexOf(name) : lead.length);
  shown.sort((left, right) => weight(left.column.name) - weight(right.column.name));
  const months = monthColumns(columns, rows);
  const body = h("tbody");
  let sorted: { at: number; down: boolean } | null = null;

  const cells = (row: Row): HTMLElement[] =>
    shown.map(({ column, at }, place) => {
      const text: Child =
        options.cell?.(column, row[at], row) ??
        formatCell(row[at], column, months.has(column.name), options.formats?.[column.name]);
      const opens = place === 0 && open && (open.can?.(row) ?? true);
      const content = opens ? button(text, () => open.run(row), { class: "cell-button", title: open.label }) : text;
      const kind = isNumeric(column.type) ? "number" : /^(DATE|TIME)/i.test(column.type) ? "time" : "";
      return place === 0 ? h("th", { scope: "row", class: kind }, content) : h("td", { class: kind }, content);
    });
  const draw = (): void => {
    const order = [...rows];
    if (sorted) {
      const { at, down } = sorted;
      const numeric = isNumeric(columns[at]?.type ?? "");
      order.sort((left, right) => compare(left[at], right[at], numeric) * (down ? -1 : 1));
    }
    fill(
      body,
      order.slice(0, MOST_ROWS).map((row) => h("tr", {}, cells(row))),
    );
  };
  const heads = shown.map(({ column, at }) => {
    const head = h("th", { scope: "col", class: isNumeric(column.type) ? "number" : "" });
    const sort = (): void => {
      sorted = { at, down: sorted?.at === at ? !sorted.down : isNumeric(column.type) };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      draw();
    };
    head.append(button(options.labels?.[column.name] ?? words(column.name), sort, { class: "head-button" }));
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
    rows.length > MOST_ROWS ? h("p", { class: "empty" }, t("more_rows", { count: rows.length - MOST_ROWS })) : null,
  );
}

/** Steps through pages that are counted from 1. */
export function pager(page: number, hasMore: boolean, go: (page: number) => void, total?: string): HTMLElement | null {
  if (page <= 1 && !hasMore) return total ? h("p", { class: "pager" }, h("span", {}, total)) : null;
  return h(
    "nav",
    { class: "pager", "aria-label": t("paging") },
    button(t("previous"), () => go(page - 1), { disabled: page <= 1 }),
    h("span", { "aria-current": "page" }, t("page_number", { page }), total ? ` · ${total}` : ""),
    button(t("next"), () => go(page + 1), { disabled: !hasMore }),
  );
}

/** Tabs that the arrow keys move between; `draw` fills the panel of the one that is chosen. */
export function tabs(
  label: string,
  names: [key: string, title: string][],
  draw: (key: string, panel: HTMLElement) => void,
): HTMLElement {
  const panel = h("div", { role: "tabpanel", class: "panel", tabindex: -1 });
  const choose = (at: number, focus: boolean): void => {
    buttons.forEach((other, place) => {
      other.setAttribute("aria-selected", String(place === at));
      other.tabIndex = place === at ? 0 : -1;
    });
    if (focus) buttons[at]?.focus();
    panel.setAttribute("aria-label", names[at]?.[1] ?? "");
    panel.replaceChildren();
    draw(names[at]?.[0] ?? "", panel);
  };
  const buttons = names.map(([, title], at) =>
    button(title, () => choose(at, false), {
      role: "tab",
      class: "tab",
      on: {
        keydown: (event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (step !== 0) choose((at + step + names.length) % names.length, true);
        },
      },
    }),
  );
  choose(0, false);
  return h("div", {}, h("div", { role: "tablist", class: "tabs", "aria-label": label }, buttons), panel);
}
