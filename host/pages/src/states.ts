// What a page shows in place of content: an error with its hint, an empty result, a loading message.
import { ApiError } from "./api.ts";
import { button, type Child, h, prose } from "./dom.ts";
import { t } from "./i18n.ts";

/** An error: what failed, what to do, and a button that tries again. */
export function problem(error: unknown, retry?: () => void): HTMLElement {
  const status = error instanceof ApiError ? error.status : null;
  const known = status === 0 ? "unreachable" : status === 401 ? "access_ended" : null;
  const message = known ? t(known) : error instanceof Error ? error.message : String(error);
  const hint = known ? t(`${known}_hint`) : error instanceof ApiError ? error.hint : null;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-message" }, prose(message)),
    hint ? h("p", { class: "problem-hint" }, prose(hint)) : null,
    retry ? button(t("try_again"), retry) : null,
  );
}

/** A message in place of an empty result. */
export function empty(...text: Child[]): HTMLElement {
  return h("p", { class: "empty" }, ...text);
}

export function loading(): HTMLElement {
  return h("p", { class: "loading", role: "status" }, t("loading"));
}

/** Fills `container` with the result of `work`; with a loading message until then, and with the error if it fails. */
export async function settle(
  container: HTMLElement,
  signal: AbortSignal,
  work: () => Promise<Node | Node[]>,
): Promise<void> {
  container.setAttribute("aria-busy", "true");
  const loadingTimer = setTimeout(() => {
    if (!container.hasChildNodes()) container.replaceChildren(loading());
  }, 150);
  try {
    const nodes = await work();
    if (!signal.aborted) container.replaceChildren(...(Array.isArray(nodes) ? nodes : [nodes]));
  } catch (error) {
    if (!signal.aborted) container.replaceChildren(problem(error, () => void settle(container, signal, work)));
  } finally {
    clearTimeout(loadingTimer);
    container.removeAttribute("aria-busy");
  }
}

/** Ignores two failures of `work`: that it was aborted, and that the server is unreachable, which the banner shows. */
export function background(work: Promise<unknown>, signal: AbortSignal): void {
  work.catch((error: unknown) => {
    if (!signal.aborted && !(error instanceof ApiError && error.status === 0)) throw error;
  });
}
