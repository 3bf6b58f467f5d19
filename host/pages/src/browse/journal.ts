// A page of the rules' journal (changes or rejects): a search, whose values are in the address, and a table of its rows.
import { get } from "../api.ts";
import type { RuleOutcome } from "../codes.ts";
import { recordHistory } from "../dashboard/record.ts";
import { openDialog } from "../dialog.ts";
import { button, fill, h, link } from "../dom.ts";
import { formatCount } from "../format.ts";
import { plural, t } from "../i18n.ts";
import { outcomeLabel } from "../labels.ts";
import { navigate, type Page, type Visit } from "../router.ts";
import { settle } from "../states.ts";
import { pager, type Row, table } from "../table.ts";
import type { JournalRows } from "../types.ts";

const FIELDS = ["stream", "rule", "q"] as const;

function search(path: string, values: Record<string, string>): void {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ""));
  const text = query.toString();
  navigate(text ? `${path}?${text}` : path);
}

/** The page at `path`; its rows are at `/api{path}`. */
export function journalPage(path: "/changes" | "/rejects", title: string, about: string, visit: Visit): Page {
  const { signal } = visit;
  const list = h("div", {});
  const form = h("form", { class: "toolbar", role: "search" });
  const inputs = Object.fromEntries(
    FIELDS.map((name) => [
      name,
      h("input", {
        type: name === "q" ? "search" : "text",
        name,
        autocomplete: "off",
        list: name === "q" ? null : `list-${name}`,
      }),
    ]),
  ) as Record<(typeof FIELDS)[number], HTMLInputElement>;
  const suggestions = FIELDS.filter((name) => name !== "q").map((name) => h("datalist", { id: `list-${name}` }));
  const values = (): Record<string, string> =>
    Object.fromEntries(FIELDS.map((name) => [name, inputs[name].value.trim()]));
  fill(
    form,
    h("label", {}, t("stream"), inputs.stream),
    h("label", {}, t("rule"), inputs.rule),
    h("label", { class: "grow" }, t("search"), inputs.q),
    h("button", { type: "submit", class: "button primary" }, t("start_search")),
    button(t("clear"), () => search(path, {})),
    suggestions,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search(path, values());
  });
  const open = (found: JournalRows, row: Row): void => {
    const cell = (name: string): string => String(row[found.columns.findIndex((column) => column.name === name)] ?? "");
    const dialog = openDialog(`${cell("stream")} ${cell("key")}`, "side");
    dialog.body.append(recordHistory(cell("stream"), cell("key"), dialog.signal));
  };
  let reading = new AbortController();
  const update = (query: URLSearchParams): void => {
    reading.abort();
    reading = new AbortController();
    signal.addEventListener("abort", () => reading.abort());
    for (const name of FIELDS) inputs[name].value = query.get(name) ?? "";
    const page = Math.max(1, Number(query.get("page") ?? 1) || 1);
    void settle(list, reading.signal, async () => {
      const found = await get<JournalRows>(`/api${path}`, query, reading.signal);
      for (const [index, names] of [found.streams, found.rules].entries()) {
        const datalist = suggestions[index];
        if (datalist)
          fill(
            datalist,
            (names ?? []).map((value) => h("option", { value })),
          );
      }
      const pageSize = found.page_size ?? 100;
      const total = found.total ?? null;
      const hasMore = found.has_more ?? (total !== null ? page * pageSize < total : found.rows.length >= pageSize);
      return [
        table({
          caption: title,
          columns: found.columns,
          rows: found.rows,
          lead: ["key", "stream", "rule"],
          open: { label: t("record_history"), run: (row) => open(found, row) },
          cell: (column, value) => {
            if (["before", "value_before"].includes(column.name) && value !== null) return h("del", {}, String(value));
            if (["after", "value_after"].includes(column.name) && value !== null) return h("ins", {}, String(value));
            if (column.name === "what" && value) return outcomeLabel(value as RuleOutcome);
            if (column.name === "rule" && value)
              return link(`${path}?rule=${encodeURIComponent(String(value))}`, String(value));
            return undefined;
          },
        }),
        pager(
          page,
          hasMore,
          (next) => search(path, { ...values(), page: next > 1 ? String(next) : "" }),
          total !== null ? plural("rows", total, formatCount(total)) : undefined,
        ) ?? h("span", {}),
      ];
    });
  };
  update(visit.query);
  const node = h(
    "div",
    {},
    h("div", { class: "page-head" }, h("h1", {}, title), h("p", {}, about)),
    form,
    h("section", { class: "card", "aria-label": title }, list),
  );
  return { title, node, update };
}
