// The filters of the dashboard, whose selected values are in the address of the page.
import { formatMonth } from "./format.ts";
import { localized } from "./i18n.ts";
import { navigate } from "./router.ts";
import type { Filter } from "./types.ts";

/** The query parameters of a filter. */
export function parameterNames(filter: Filter): string[] {
  return filter.kind === "period" ? [`${filter.name}_from`, `${filter.name}_to`] : [filter.name];
}

/** The selected values of a filter, or its default; a period always has two values, of which either may be empty. */
export function selectedValues(filter: Filter, query: URLSearchParams): string[] {
  if (filter.kind === "period") return parameterNames(filter).map((name) => query.get(name) ?? "");
  const given = query.getAll(filter.name).filter(Boolean);
  if (given.length > 0) return given;
  const fallback = filter.default ?? [];
  return Array.isArray(fallback) ? fallback : [fallback];
}

/** A value of a filter, with months as words. */
export function valueLabel(value: string): string {
  return /^\d{4}-\d{2}(-\d{2})?$/.test(value) ? formatMonth(value) : value;
}

/** A period, of which either end may be empty. */
function periodLabel([from = "", to = ""]: string[]): string {
  if (from === to) return valueLabel(from);
  return `${from ? valueLabel(from) : "…"} – ${to ? valueLabel(to) : "…"}`;
}

/** What a set filter selects, one text for each value: `Channel: referral`, `Period: Jan 2026 – Mar 2026`. */
export function filterLabels(filter: Filter, query: URLSearchParams): { value: string; text: string }[] {
  const name = localized(filter.label, filter.name);
  const values = selectedValues(filter, query);
  if (filter.kind === "period") return [{ value: "", text: `${name}: ${periodLabel(values)}` }];
  return values.map((value) => ({ value, text: `${name}: ${valueLabel(value)}` }));
}

/** Whether the address sets the filter. */
export function isSet(filter: Filter, query: URLSearchParams): boolean {
  return parameterNames(filter).some((name) => (query.get(name) ?? "") !== "");
}

/** The parameters of the filters, without any other parameter of the address. */
export function filterQuery(filters: Filter[], query: URLSearchParams): URLSearchParams {
  const result = new URLSearchParams();
  for (const name of filters.flatMap(parameterNames)) {
    for (const value of query.getAll(name)) if (value) result.append(name, value);
  }
  return result;
}

/** Sets a filter to `values` and adds a step to the browser's history. */
export function setFilter(filter: Filter, values: string[]): void {
  const query = new URLSearchParams(location.search);
  const names = parameterNames(filter);
  for (const name of names) query.delete(name);
  values.forEach((value, index) => {
    const name = filter.kind === "period" ? names[index] : filter.name;
    if (name && value) query.append(name, value);
  });
  const fallback = filter.default ?? null;
  if (filter.kind === "one" && values[0] === fallback) query.delete(filter.name);
  navigateTo(query);
}

/** Adds `value` to a filter, or removes it where it is selected. */
export function toggleValue(filter: Filter, value: string): void {
  const query = new URLSearchParams(location.search);
  if (filter.kind === "period") {
    const month = value.slice(0, 7);
    const isSelected = selectedValues(filter, query).every((end) => end === month);
    setFilter(filter, isSelected ? [] : [month, month]);
    return;
  }
  const selected = isSet(filter, query) ? selectedValues(filter, query) : [];
  if (selected.includes(value))
    setFilter(
      filter,
      selected.filter((other) => other !== value),
    );
  else setFilter(filter, filter.kind === "many" ? [...selected, value] : [value]);
}

/** Removes all filters from the address. */
export function clearFilters(filters: Filter[]): void {
  const query = new URLSearchParams(location.search);
  for (const name of filters.flatMap(parameterNames)) query.delete(name);
  navigateTo(query);
}

function navigateTo(query: URLSearchParams): void {
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ""));
}
