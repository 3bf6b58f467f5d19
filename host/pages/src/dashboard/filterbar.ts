// The bar of filters: a control for each filter, and a chip for each selected value that removes it.
import { button, fill, h, uniqueId } from "../dom.ts";
import { clearFilters, filterLabels, isSet, selectedValues, setFilter, valueLabel } from "../filters.ts";
import { localized, t } from "../i18n.ts";
import type { Filter } from "../types.ts";

function one(filter: Filter, query: URLSearchParams): HTMLElement {
  const selected = selectedValues(filter, query)[0] ?? "";
  const options = filter.values.map((value) => h("option", { value, selected: value === selected }, valueLabel(value)));
  if (!filter.default) options.unshift(h("option", { value: "", selected: selected === "" }, t("all")));
  return h(
    "label",
    {},
    localized(filter.label, filter.name),
    h(
      "select",
      { name: filter.name, on: { change: (event) => setFilter(filter, [(event.target as HTMLSelectElement).value]) } },
      options,
    ),
  );
}

function period(filter: Filter, query: URLSearchParams): HTMLElement {
  const ends = selectedValues(filter, query);
  const month = (index: 0 | 1, label: string): HTMLElement => {
    const change = (event: Event): void => {
      const next = [...ends];
      next[index] = (event.target as HTMLSelectElement).value;
      // Swap the months of a period that would end before it starts.
      if (next[0] && next[1] && next[0] > next[1]) next.reverse();
      setFilter(filter, next);
    };
    const options = filter.values.map((value) => {
      const text = value.slice(0, 7);
      return h("option", { value: text, selected: text === ends[index] }, valueLabel(value));
    });
    options.unshift(h("option", { value: "", selected: !ends[index] }, "–"));
    return h(
      "label",
      {},
      label,
      h("select", { name: `${filter.name}_${index === 0 ? "from" : "to"}`, on: { change } }, options),
    );
  };
  return h(
    "fieldset",
    { class: "period", "aria-label": localized(filter.label, filter.name) },
    month(0, `${localized(filter.label, filter.name)}, ${t("from")}`),
    month(1, t("to")),
  );
}

/** A button that opens a list of checkboxes. */
function many(filter: Filter, query: URLSearchParams): HTMLElement {
  const selected = new Set(selectedValues(filter, query));
  const label = localized(filter.label, filter.name);
  const id = uniqueId("filter");
  const [first] = selected;
  const text = selected.size > 1 ? t("selected_count", { count: selected.size }) : (first ?? t("all"));
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
          checked: selected.has(value),
          on: {
            change: () => {
              const checked = [...list.querySelectorAll<HTMLInputElement>("input:checked")].map((box) => box.value);
              setFilter(filter, checked.length === filter.values.length ? [] : checked);
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
  const field = h(
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
          if (event.relatedTarget instanceof Node && !field.contains(event.relatedTarget)) show(false);
        },
      },
    },
    h("span", { "aria-hidden": "true" }, label),
    opener,
    list,
  );
  return field;
}

function chips(filters: Filter[], query: URLSearchParams): HTMLElement | null {
  const elements = filters
    .filter((filter) => isSet(filter, query))
    .flatMap((filter) =>
      filterLabels(filter, query).map(({ value, text }) => {
        const remaining =
          filter.kind === "period" ? [] : selectedValues(filter, query).filter((other) => other !== value);
        return button(`${text} ×`, () => setFilter(filter, remaining), {
          class: "chip",
          "aria-label": t("remove_filter", { what: text }),
        });
      }),
    );
  if (elements.length === 0) return null;
  return h(
    "div",
    { class: "chips" },
    elements,
    button(t("clear_filters"), () => clearFilters(filters), { class: "quiet" }),
  );
}

/** Draws the bar into `container`, and keeps the open list, its scroll position and the focus. */
export function drawFilterBar(container: HTMLElement, filters: Filter[], query: URLSearchParams): void {
  const openList = container.querySelector<HTMLElement>(".choices:not([hidden])");
  const openFilter = openList?.closest<HTMLElement>(".many")?.dataset.filter;
  const top = openList?.scrollTop ?? 0;
  const focused =
    document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement
      ? document.activeElement
      : null;
  const [name, value] = [focused?.name, focused instanceof HTMLInputElement ? focused.value : null];
  const controls = { one, many, period };
  fill(
    container,
    h(
      "div",
      { class: "filters" },
      filters.map((filter) => controls[filter.kind](filter, query)),
    ),
    chips(filters, query),
  );
  if (openFilter) {
    container.querySelector<HTMLButtonElement>(`[data-filter="${CSS.escape(openFilter)}"] .select`)?.click();
    container.querySelector(".choices:not([hidden])")?.scrollTo(0, top);
  }
  if (!name) return;
  const sameName = [
    ...container.querySelectorAll<HTMLInputElement | HTMLSelectElement>(`[name="${CSS.escape(name)}"]`),
  ];
  (sameName.find((element) => value === null || element.value === value) ?? sameName[0])?.focus();
}
