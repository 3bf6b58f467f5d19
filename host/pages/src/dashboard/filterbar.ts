// The bar of filters: a control for each, and what is chosen as chips that take it back.
import { button, fill, h, uniqueId } from "../dom.ts";
import { choose, chosen, clear, isSet } from "../filters.ts";
import { formatMonth } from "../format.ts";
import { named, t } from "../i18n.ts";
import type { Filter } from "../types.ts";

function shown(value: string): string {
  return /^\d{4}-\d{2}(-\d{2})?$/.test(value) ? formatMonth(value) : value;
}

function one(filter: Filter, query: URLSearchParams): HTMLElement {
  const now = chosen(filter, query)[0] ?? "";
  const options = filter.values.map((value) => h("option", { value, selected: value === now }, shown(value)));
  if (!filter.default) options.unshift(h("option", { value: "", selected: now === "" }, t("all")));
  return h(
    "label",
    {},
    named(filter.label, filter.name),
    h(
      "select",
      { name: filter.name, on: { change: (event) => choose(filter, [(event.target as HTMLSelectElement).value]) } },
      options,
    ),
  );
}

function period(filter: Filter, query: URLSearchParams): HTMLElement {
  const [from = "", to = ""] = chosen(filter, query);
  const ends = [from, to];
  const month = (at: number, label: string): HTMLElement => {
    const change = (event: Event): void => {
      const next = [...ends];
      next[at] = (event.target as HTMLSelectElement).value;
      // A period that ends before it begins is the other one.
      if (next[0] && next[1] && next[0] > next[1]) next.reverse();
      choose(filter, next);
    };
    const options = filter.values.map((value) => {
      const text = value.slice(0, 7);
      return h("option", { value: text, selected: text === ends[at] }, shown(value));
    });
    options.unshift(h("option", { value: "", selected: !ends[at] }, "–"));
    return h(
      "label",
      {},
      label,
      h("select", { name: `${filter.name}_${at === 0 ? "from" : "to"}`, on: { change } }, options),
    );
  };
  return h(
    "fieldset",
    { class: "period", "aria-label": named(filter.label, filter.name) },
    month(0, `${named(filter.label, filter.name)}, ${t("from")}`),
    month(1, t("to")),
  );
}

/** A button that opens a list of boxes to tick. */
function many(filter: Filter, query: URLSearchParams): HTMLElement {
  const now = new Set(chosen(filter, query));
  const label = named(filter.label, filter.name);
  const id = uniqueId("filter");
  const text = now.size === 0 ? t("all") : now.size === 1 ? [...now][0] : t("several", { count: now.size });
  const list = h(
    "div",
    { class: "choices", id, hidden: true, role: "group", "aria-label": label },
    filter.values.map((value) =>
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          name: filter.name,
          value,
          checked: now.has(value),
          on: {
            change: () => {
              const ticked = [...list.querySelectorAll<HTMLInputElement>("input:checked")].map((box) => box.value);
              choose(filter, ticked.length === filter.values.length ? [] : ticked);
            },
          },
        }),
        value,
      ),
    ),
  );
  const opener = button(text, () => show(list.hidden === true), {
    class: "button select",
    "aria-expanded": "false",
    "aria-controls": id,
    "aria-label": `${label}: ${text}`,
  });
  const show = (isOpen: boolean): void => {
    list.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
  };
  const place = h(
    "div",
    {
      class: "field many",
      "data-filter": filter.name,
      on: {
        keydown: (event) => {
          if (event.key !== "Escape" || list.hidden) return;
          show(false);
          opener.focus();
        },
        focusout: (event) => {
          if (event.relatedTarget instanceof Node && !place.contains(event.relatedTarget)) show(false);
        },
      },
    },
    h("span", { "aria-hidden": "true" }, label),
    opener,
    list,
  );
  return place;
}

function chips(filters: Filter[], query: URLSearchParams): HTMLElement | null {
  const made = filters
    .filter((filter) => isSet(filter, query))
    .flatMap((filter) => {
      const label = named(filter.label, filter.name);
      if (filter.kind === "period") {
        const [from = "", to = ""] = chosen(filter, query);
        const text = from === to ? shown(from) : `${from ? shown(from) : "…"} – ${to ? shown(to) : "…"}`;
        return [button(`${label}: ${text} ×`, () => choose(filter, []), { class: "chip" })];
      }
      const values = chosen(filter, query);
      return values.map((value) =>
        button(
          `${label}: ${shown(value)} ×`,
          () =>
            choose(
              filter,
              values.filter((other) => other !== value),
            ),
          {
            class: "chip",
            "aria-label": t("take_back", { what: `${label}: ${shown(value)}` }),
          },
        ),
      );
    });
  if (made.length === 0) return null;
  return h(
    "div",
    { class: "chips" },
    made,
    button(t("clear_filters"), () => clear(filters), { class: "quiet" }),
  );
}

/** Draws the bar into `place`; a list that was open stays so, and the focus where it was. */
export function filterbar(place: HTMLElement, filters: Filter[], query: URLSearchParams): void {
  const opened = place.querySelector<HTMLElement>(".choices:not([hidden])")?.closest<HTMLElement>(".many")
    ?.dataset.filter;
  const focused =
    document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement
      ? document.activeElement
      : null;
  const [name, value] = [focused?.name, focused instanceof HTMLInputElement ? focused.value : null];
  const top = place.querySelector(".choices:not([hidden])")?.scrollTop ?? 0;
  const controls = { one, many, period };
  fill(
    place,
    h(
      "div",
      { class: "filters" },
      filters.map((filter) => controls[filter.kind](filter, query)),
    ),
    chips(filters, query),
  );
  if (opened) place.querySelector<HTMLButtonElement>(`[data-filter="${CSS.escape(opened)}"] .select`)?.click();
  if (opened) place.querySelector(".choices:not([hidden])")?.scrollTo(0, top);
  if (!name) return;
  const again = [...place.querySelectorAll<HTMLInputElement | HTMLSelectElement>(`[name="${CSS.escape(name)}"]`)];
  (again.find((element) => value === null || element.value === value) ?? again[0])?.focus();
}
