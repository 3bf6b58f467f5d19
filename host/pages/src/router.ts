// Maps a path to a page, and moves between pages without reloading the document.
import { ApiError } from "./api.ts";
import { h } from "./dom.ts";
import { t } from "./i18n.ts";
import { loading, problem } from "./states.ts";

export interface Page {
  title: string;
  node: HTMLElement;
  /** Applies a changed query; a page without it is drawn again. */
  update?: (query: URLSearchParams) => void;
}

export interface Visit {
  params: Record<string, string>;
  query: URLSearchParams;
  /** Aborts when the reader leaves the page. */
  signal: AbortSignal;
}

export type Route = [pattern: string, open: (visit: Visit) => Promise<Page>];

let routes: Route[] = [];
let container: HTMLElement;
let onArrival: (path: string, title: string) => void = () => {};
let visitController = new AbortController();
let current: { path: string; page: Page } | null = null;

function match(path: string): { open: Route[1]; params: Record<string, string> } | null {
  const parts = path.split("/").filter(Boolean);
  for (const [pattern, open] of routes) {
    const expected = pattern.split("/").filter(Boolean);
    const params: Record<string, string> = {};
    const matches =
      expected.length === parts.length &&
      expected.every((name, index) => {
        const part = parts[index] ?? "";
        if (!name.startsWith(":")) return name === part;
        params[name.slice(1)] = decodeURIComponent(part);
        return true;
      });
    if (matches) return { open, params };
  }
  return null;
}

async function show(isFirst: boolean): Promise<void> {
  const path = location.pathname;
  const query = new URLSearchParams(location.search);
  if (current?.path === path && current.page.update) {
    current.page.update(query);
    return;
  }
  visitController.abort();
  visitController = new AbortController();
  current = null;
  const { signal } = visitController;
  const loadingTimer = setTimeout(() => container.replaceChildren(loading()), 150);
  let page: Page;
  try {
    const found = match(path);
    if (!found) throw new ApiError(404, "not_found", t("page_not_found", { path }), t("page_not_found_hint"));
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
    clearTimeout(loadingTimer);
  }
  if (signal.aborted) return;
  current = { path, page };
  container.replaceChildren(page.node);
  document.title = `${page.title} · host`;
  onArrival(path, page.title);
  if (!isFirst) {
    // Screen readers continue from the heading of the new page.
    const heading = container.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

/** Goes to `to`, a path with or without a query. */
export function navigate(to: string): void {
  history.pushState(null, "", to);
  void show(false);
}

/** Opens links to other pages without reloading the document; all other clicks are left to the browser. */
function followLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const anchor = event.target instanceof Element ? event.target.closest("a") : null;
  if (!anchor || anchor.origin !== location.origin || anchor.target || anchor.hasAttribute("download")) return;
  if (anchor.pathname.startsWith("/api/") || anchor.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  navigate(anchor.pathname + anchor.search);
}

/** Shows the page of the address in `main`, and follows links and the browser's history from there. */
export function startRouter(main: HTMLElement, list: Route[], arrival: (path: string, title: string) => void): void {
  container = main;
  routes = list;
  onArrival = arrival;
  document.addEventListener("click", followLink);
  window.addEventListener("popstate", () => void show(false));
  void show(true);
}
