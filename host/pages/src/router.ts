// From a path to a page, and from one page to the next without loading the document anew.
import { ApiError } from "./api.ts";
import { h } from "./dom.ts";
import { t } from "./i18n.ts";
import { problem } from "./states.ts";

export interface Page {
  title: string;
  node: HTMLElement;
  /** Takes a changed query without being drawn anew; a page without it is. */
  update?: (query: URLSearchParams) => void;
}

export interface Visit {
  params: Record<string, string>;
  query: URLSearchParams;
  /** Ends when the reader leaves the page. */
  signal: AbortSignal;
}

export type Route = [pattern: string, open: (visit: Visit) => Promise<Page>];

let routes: Route[] = [];
let place: HTMLElement;
let arrived: (path: string, title: string) => void = () => {};
let visiting = new AbortController();
let shown: { path: string; page: Page } | null = null;

function match(path: string): { open: Route[1]; params: Record<string, string> } | null {
  const parts = path.split("/").filter(Boolean);
  for (const [pattern, open] of routes) {
    const expected = pattern.split("/").filter(Boolean);
    const params: Record<string, string> = {};
    const fits =
      expected.length === parts.length &&
      expected.every((name, at) => {
        const part = parts[at] ?? "";
        if (!name.startsWith(":")) return name === part;
        params[name.slice(1)] = decodeURIComponent(part);
        return true;
      });
    if (fits) return { open, params };
  }
  return null;
}

async function show(isFirst: boolean): Promise<void> {
  const path = location.pathname;
  const query = new URLSearchParams(location.search);
  if (shown?.path === path && shown.page.update) {
    shown.page.update(query);
    return;
  }
  visiting.abort();
  visiting = new AbortController();
  shown = null;
  const { signal } = visiting;
  const waiting = setTimeout(
    () => place.replaceChildren(h("p", { class: "loading", role: "status" }, t("loading"))),
    150,
  );
  let page: Page;
  try {
    const found = match(path);
    if (!found) throw new ApiError(404, "not_found", t("no_page", { path }), t("no_page_hint"));
    page = await found.open({ params: found.params, query, signal });
  } catch (error) {
    if (signal.aborted) return;
    page = {
      title: t("error"),
      node: h(
        "div",
        {},
        h("h1", {}, t("error")),
        problem(error, () => void show(false)),
      ),
    };
  } finally {
    clearTimeout(waiting);
  }
  if (signal.aborted) return;
  shown = { path, page };
  place.replaceChildren(page.node);
  document.title = `${page.title} · host`;
  arrived(path, page.title);
  if (!isFirst) {
    // A screen reader goes on from the new page's heading.
    const heading = place.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

/** Goes to `to`, a path with or without query; `replace` leaves no step to go back to. */
export function navigate(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  void show(false);
}

/** Draws the page that is shown once more. */
export function reload(): void {
  shown = null;
  void show(true);
}

function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const anchor = event.target instanceof Element ? event.target.closest("a") : null;
  if (!anchor || anchor.origin !== location.origin || anchor.target || anchor.hasAttribute("download")) return;
  if (anchor.pathname.startsWith("/api/") || anchor.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  navigate(anchor.pathname + anchor.search);
}

/** Shows the page of the address in `main`, and those that links lead to. */
export function startRouter(main: HTMLElement, list: Route[], onArrival: (path: string, title: string) => void): void {
  place = main;
  routes = list;
  arrived = onArrival;
  document.addEventListener("click", follow);
  window.addEventListener("popstate", () => void show(false));
  void show(true);
}
