// A panel at the page's side, or a small window: the browser's own dialog keeps the focus inside and Escape closes it.
import { button, type Child, fill, h, uniqueId } from "./dom.ts";
import { t } from "./i18n.ts";

export interface Dialog {
  body: HTMLElement;
  /** Ends when the dialog is closed. */
  signal: AbortSignal;
  close: () => void;
}

/** Opens a dialog over the page; `kind` is `side` for a panel and `small` for a question. */
export function openDialog(title: string, kind: "side" | "small", ...lead: Child[]): Dialog {
  const id = uniqueId("dialog");
  const controller = new AbortController();
  const body = h("div", { class: "dialog-body" });
  const close = (): void => made.close();
  const made = h(
    "dialog",
    {
      class: `dialog ${kind}`,
      "aria-labelledby": id,
      on: {
        close: () => {
          controller.abort();
          made.remove();
        },
        // A press beside the panel closes it, as Escape does.
        click: (event) => {
          if (event.target === made) made.close();
        },
      },
    },
    h(
      "div",
      { class: "dialog-inner" },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id }, title),
        button("×", close, { class: "quiet close", "aria-label": t("close") }),
      ),
      lead,
      body,
    ),
  );
  document.body.append(made);
  made.showModal();
  window.addEventListener("popstate", close, { signal: controller.signal });
  return { body, signal: controller.signal, close };
}

/** A dialog's content taken anew, with a way back to what was there. */
export function step(body: HTMLElement, back: string, ...children: Child[]): void {
  const before = [...body.childNodes];
  const place = body.closest(".dialog-inner");
  const top = place?.scrollTop ?? 0;
  const return_ = button(
    `← ${back}`,
    () => {
      body.replaceChildren(...before);
      place?.scrollTo(0, top);
      opener?.focus();
    },
    { class: "quiet" },
  );
  const opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  fill(body, return_, ...children);
  place?.scrollTo(0, 0);
  return_.focus();
}
