// What stands in the place of content: an error with its hint, nothing found, still loading.
import { ApiError } from "./api.ts";
import { button, type Child, h, prose } from "./dom.ts";
import { t } from "./i18n.ts";

/** An error as a reader can use it: what failed, what to do, and a button to try again. */
export function problem(error: unknown, retry?: () => void): HTMLElement {
  const isGone = error instanceof ApiError && error.status === 0;
  const message = isGone ? t("unreachable") : error instanceof Error ? error.message : String(error);
  const hint = isGone ? t("unreachable_hint") : error instanceof ApiError ? error.hint : null;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-message" }, prose(message)),
    hint ? h("p", { class: "problem-hint" }, prose(hint)) : null,
    retry ? button(t("try_again"), retry) : null,
  );
}

/** Nothing is there, and why. */
export function empty(...text: Child[]): HTMLElement {
  return h("p", { class: "empty" }, ...text);
}

/** Something is on its way. */
export function loading(): HTMLElement {
  return h("p", { class: "loading", role: "status" }, t("loading"));
}

/** Fills `place` with what `work` gives, with loading before and the error in its place. */
export async function settle(
  place: HTMLElement,
  signal: AbortSignal,
  work: () => Promise<Node | Node[]>,
): Promise<void> {
  place.setAttribute("aria-busy", "true");
  const waiting = setTimeout(() => {
    if (!place.hasChildNodes()) place.replaceChildren(loading());
  }, 150);
  try {
    const made = await work();
    if (!signal.aborted) place.replaceChildren(...(Array.isArray(made) ? made : [made]));
  } catch (error) {
    if (!signal.aborted) place.replaceChildren(problem(error, () => void settle(place, signal, work)));
  } finally {
    clearTimeout(waiting);
    place.removeAttribute("aria-busy");
  }
}

/** Lets `work` go on by itself: that it was given up, or that the server is gone, which the banner says, is no error. */
export function background(work: Promise<unknown>, signal: AbortSignal): void {
  work.catch((error: unknown) => {
    if (!signal.aborted && !(error instanceof ApiError && error.status === 0)) throw error;
  });
}
