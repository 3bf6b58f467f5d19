// Dialogs: a panel at the side of the page, or a small window. The browser's `dialog` keeps the focus inside.
import { button, type Child, fill, h, uniqueId } from "./dom.ts";
import { t } from "./i18n.ts";

export interface Dialog {
  body: HTMLElement;
  /** Aborts when the dialog is closed. */
  signal: AbortSignal;
  close: () => void;
}

/** Opens a dialog: `side` is a panel, `small` a window; `lead` stands above the body. */
export function openDialog(title: string, kind: "side" | "small", ...lead: Child[]): Dialog {
  const id = uniqueId("dialog");
  const controller = new AbortController();
  const body = h("div", { class: "dialog-body" });
  const close = (): void => dialog.close();
  const dialog = h(
    "dialog",
    {
      class: `dialog ${kind}`,
      "aria-labelledby": id,
      on: {
        close: () => {
          controller.abort();
          dialog.remove();
        },
        // A click on the backdrop closes the dialog, as Escape does.
        click: (event) => {
          if (event.target === dialog) dialog.close();
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
  document.body.append(dialog);
  dialog.showModal();
  window.addEventListener("popstate", close, { signal: controller.signal });
  return { body, signal: controller.signal, close };
}

/** Replaces the content of a dialog, with a button that restores the content, the scroll position and the focus. */
export function openStep(body: HTMLElement, backLabel: string, ...children: Child[]): void {
  const previous = [...body.childNodes];
  const scroller = body.closest(".dialog-inner");
  const top = scroller?.scrollTop ?? 0;
  const opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  const backButton = button(
    `← ${backLabel}`,
    () => {
      body.replaceChildren(...previous);
      scroller?.scrollTo(0, top);
      opener?.focus();
    },
    { class: "quiet" },
  );
  fill(body, backButton, ...children);
  scroller?.scrollTo(0, 0);
  backButton.focus();
}
