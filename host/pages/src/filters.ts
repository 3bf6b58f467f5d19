// The filters as the address holds them: what is chosen, and the address of another choice.
import { navigate } from "./router.ts";
import type { Filter } from "./types.ts";

/** Names under which a filter stands in the address. */
export function parameters(filter: Filter): string[] {
  return filter.kind === "period" ? [`${filter.name}_from`, `${filter.name}_to`] : [filter.name];
}

/** What is chosen of a filter, its default where the address says nothing. */
export function chosen(filter: Filter, query: URLSearchParams): string[] {
  if (filter.kind === "period") return parameters(filter).map((name) => query.get(name) ?? "");
  const given = query.getAll(filter.name).filter(Boolean);
  if (given.length > 0) return given;
  const fallback = filter.default ?? [];
  return Array.isArray(fallback) ? fallback : [fallback];
}

/** Whether the address itself chooses something of it. */
export function isSet(filter: Filter, query: URLSearchParams): boolean {
  return parameters(filter).some((name) => (query.get(name) ?? "") !== "");
}

/** The filters alone, without what else the address holds. */
export function filterQuery(filters: Filter[], query: URLSearchParams): URLSearchParams {
  const only = new URLSearchParams();
  for (const name of filters.flatMap(parameters)) {
    for (const value of query.getAll(name)) if (value) only.append(name, value);
  }
  return only;
}

/** Chooses `values` of a filter, as a step that the browser can go back from. */
export function choose(filter: Filter, values: string[]): void {
  const query = new URLSearchParams(location.search);
  const names = parameters(filter);
  for (const name of names) query.delete(name);
  values.forEach((value, at) => {
    const name = filter.kind === "period" ? names[at] : filter.name;
    if (name && value) query.append(name, value);
  });
  const fallback = filter.default ?? null;
  if (filter.kind === "one" && values[0] === fallback) query.delete(filter.name);
  go(query);
}

/** Takes a value into a filter, or out of it where it is in: what a click on a mark does. */
export function toggle(filter: Filter, value: string): void {
  const query = new URLSearchParams(location.search);
  if (filter.kind === "period") {
    const month = value.slice(0, 7);
    const isIn = chosen(filter, query).every((end) => end === month);
    choose(filter, isIn ? [] : [month, month]);
    return;
  }
  const now = isSet(filter, query) ? chosen(filter, query) : [];
  if (now.includes(value))
    choose(
      filter,
      now.filter((other) => other !== value),
    );
  else choose(filter, filter.kind === "many" ? [...now, value] : [value]);
}

/** Forgets every choice. */
export function clear(filters: Filter[]): void {
  const query = new URLSearchParams(location.search);
  for (const name of filters.flatMap(parameters)) query.delete(name);
  go(query);
}

function go(query: URLSearchParams): void {
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ""));
}
