// The dashboard: the sections of figures and charts that the server declares, with filters above them.
import { get } from "../api.ts";
import { h } from "../dom.ts";
import { listen, onReconnect } from "../events.ts";
import { filterQuery } from "../filters.ts";
import { setCurrency } from "../format.ts";
import { localized, t } from "../i18n.ts";
import { isActive } from "../operate/status.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background, empty } from "../states.ts";
import type { DashboardDeclaration, Run } from "../types.ts";
import { chartCard } from "./chart.ts";
import { type Card, figureCard } from "./figure.ts";
import { drawFilterBar } from "./filterbar.ts";
import { DataQuality } from "./quality.ts";

export async function dashboard(visit: Visit): Promise<Page> {
  const { signal } = visit;
  const quality = new DataQuality();
  const [declaration] = await Promise.all([
    get<DashboardDeclaration>("/api/dashboard", {}, signal),
    quality.read(signal),
  ]);
  const { filters } = declaration;
  setCurrency(declaration.currency);
  const title = localized(declaration.title, t("dashboard"));
  const cards: Card[] = [];

  const sections = declaration.sections.map((section) => {
    const figureCards: HTMLElement[] = [];
    const chartCards: HTMLElement[] = [];
    for (const item of section.items) {
      const card =
        item.kind === "figure" ? figureCard(item, filters, quality, signal) : chartCard(item, filters, quality, signal);
      cards.push(card);
      (item.kind === "figure" ? figureCards : chartCards).push(card.node);
    }
    const label = localized(section.label);
    return h(
      "section",
      { class: "section", "aria-label": label },
      h("h2", {}, label),
      figureCards.length > 0 ? h("div", { class: "figures" }, figureCards) : null,
      chartCards.length > 0 ? h("div", { class: "charts" }, chartCards) : null,
    );
  });

  const bar = h("form", {
    class: "filterbar",
    role: "search",
    "aria-label": t("filters"),
    on: { submit: (event) => event.preventDefault() },
  });
  const head = h("div", { class: "page-head" }, h("h1", {}, title), quality.head());
  const refresh = async (query: URLSearchParams): Promise<void> => {
    const cardQuery = filterQuery(filters, query);
    await Promise.all(cards.map((card) => card.refresh(cardQuery)));
  };
  let isFirst = true;
  const update = (query: URLSearchParams): void => {
    drawFilterBar(bar, filters, query);
    const read = refresh(query);
    if (!isFirst) void read.then(() => announce(t("figures_updated")));
    isFirst = false;
  };
  const refreshAll = async (): Promise<void> => {
    await quality.read(signal);
    const line = quality.head();
    head.querySelector(".freshness")?.remove();
    if (line) head.append(line);
    await refresh(new URLSearchParams(location.search));
  };
  // A finished run may have published new figures.
  listen<Run>(
    "run",
    (event) => {
      if (isActive(event.status)) return;
      background(
        refreshAll().then(() => announce(t("figures_updated"))),
        signal,
      );
    },
    signal,
  );
  onReconnect(() => background(refreshAll(), signal), signal);
  update(visit.query);
  const node = h(
    "div",
    { class: "dashboard" },
    head,
    filters.length > 0 ? bar : null,
    sections.length > 0 ? sections : empty(t("no_sections")),
  );
  return { title, node, update };
}
