// The frame of every page: header, navigation, language and theme buttons, banner, announcements.
import { button, fill, h, link, prose, svg } from "./dom.ts";
import { language, setLanguage, t } from "./i18n.ts";
import { onTheme, theme, toggleTheme } from "./theme.ts";

const PAGES = [
  ["/", "dashboard"],
  ["/pipelines", "pipelines"],
  ["/models", "models"],
  ["/changes", "changes"],
  ["/rejects", "rejects"],
  ["/plugins", "plugins"],
] as const;

const announcer = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });

/** Makes screen readers read out `text`, after a change that the reader did not cause. */
export function announce(text: string): void {
  announcer.textContent = "";
  setTimeout(() => {
    announcer.textContent = text;
  }, 50);
}

function logo(): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", width: 24, height: 24, "aria-hidden": "true", class: "mark" },
    svg("path", { d: "M7 23V9m0 7h9m0-7v14", class: "mark-line" }),
    svg("circle", { cx: 23.5, cy: 21.5, r: 3, class: "mark-dot" }),
  );
}

function themeButton(): HTMLButtonElement {
  const toggle = button("", toggleTheme, { class: "quiet", id: "theme" });
  const show = (): void => {
    const isDark = theme() === "dark";
    fill(
      toggle,
      svg(
        "svg",
        { viewBox: "0 0 20 20", width: 18, height: 18, "aria-hidden": "true" },
        isDark
          ? svg("path", {
              d: "M10 3v1.6M10 15.4V17M3 10h1.6M15.4 10H17M5 5l1.2 1.2M13.8 13.8 15 15M5 15l1.2-1.2M13.8 6.2 15 5M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z",
              class: "icon",
            })
          : svg("path", { d: "M16.5 11.9A6.8 6.8 0 0 1 8.1 3.5a6.8 6.8 0 1 0 8.4 8.4Z", class: "icon" }),
      ),
    );
    toggle.setAttribute("aria-label", t(isDark ? "light_theme" : "dark_theme"));
    toggle.title = t(isDark ? "light_theme" : "dark_theme");
  };
  onTheme(show, new AbortController().signal);
  show();
  return toggle;
}

function languageButton(): HTMLButtonElement {
  const other = language() === "en" ? "pt" : "en";
  const toggle = button(other.toUpperCase(), () => setLanguage(other), { class: "quiet", id: "language", lang: other });
  toggle.setAttribute("aria-label", other === "pt" ? "PT, mostrar em português" : "EN, show in English");
  return toggle;
}

/** Marks the current page in the navigation, closes the menu of a phone and announces the title. */
export function onArrival(path: string, title: string): void {
  for (const anchor of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    const isCurrent = anchor.pathname === "/" ? path === "/" : path.startsWith(anchor.pathname);
    if (isCurrent || (anchor.pathname === "/pipelines" && path.startsWith("/runs/")))
      anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.querySelector("#menu")?.setAttribute("aria-expanded", "false");
  announce(title);
}

function banner(): HTMLElement {
  const element = h("div", { class: "banner", role: "alert", hidden: true });
  window.addEventListener("connection-lost", () => {
    fill(element, h("strong", {}, t("unreachable")), " ", t("reconnecting"));
    element.hidden = false;
  });
  window.addEventListener("access-ended", () => {
    fill(element, h("strong", {}, t("access_ended")), " ", prose(t("access_ended_hint")));
    element.hidden = false;
  });
  window.addEventListener("connection-restored", () => {
    element.hidden = true;
    announce(t("reconnected"));
  });
  return element;
}

/** Builds the frame in the document and returns the element for the pages. */
export function startShell(): HTMLElement {
  document.documentElement.lang = language() === "pt" ? "pt-BR" : "en";
  const main = h("main", { id: "main" });
  const menu = button(
    t("menu"),
    () => {
      menu.setAttribute("aria-expanded", String(menu.getAttribute("aria-expanded") !== "true"));
    },
    { id: "menu", class: "quiet", "aria-expanded": "false", "aria-controls": "pages" },
  );
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#main" }, t("skip_to_content")),
    h(
      "header",
      { class: "top" },
      link("/", [logo(), h("span", {}, "host")], { class: "brand", "aria-label": `host, ${t("dashboard")}` }),
      menu,
      h(
        "nav",
        { id: "pages", "aria-label": t("pages") },
        PAGES.map(([path, key]) => link(path, t(key))),
      ),
      h("div", { class: "top-end" }, languageButton(), themeButton()),
    ),
    banner(),
    main,
    announcer,
  );
  return main;
}
