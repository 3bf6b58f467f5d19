// The first page: the declaration's sections of figures and charts, and the filters over them.
import { get } from "../api.ts";
import { h } from "../dom.ts";
import { listen, onBack } from "../events.ts";
import { filterQuery } from "../filters.ts";
import { setCurrency } from "../format.ts";
import { named, t } from "../i18n.ts";
import { isActive } from "../operate/status.ts";
import type { Page, Visit } from "../router.ts";
import { announce } from "../shell.ts";
import { background, empty } from "../states.ts";
import type { Declaration, Run } from "../types.ts";
import { chartCard } from "./chart.ts";
import { type Card, figureCard } from "./figure.ts";
import { filterbar } from "./filterbar.ts";
import { Quality } from "./freshness.ts";

export async function dashboard(visit: Visit): Promise<Page> {
  const { signal } = visit;
  const quality = new Quality();
  const [declaration] = await Promise.all([get<Declaration>("/api/dashboard", {}, signal), quality.read(signal)]);
  setCurrency(declaration.currency);
  const title = named(declaration.title, t("dashboard"));
  const cards: Card[] = [];

  const sections = declaration.sections.map((section) => {
    const figureCards: HTMLElement[] = [];
    const chartCards: HTMLElement[] = [];
    for (const item of section.items) {
      const card =
        item.kind === "figure"
          ? figureCard(item, quality, signal)
          : chartCard(item, declaration.filters, quality, signal);
      cards.push(card);
      (item.kind === "figure" ? figureCards : chartCards).push(card.node);
    }
    const label = named(section.label);
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
    const only = filterQuery(declaration.filters, query);
    await Promise.all(cards.map((card) => card.refresh(only)));
  };
  let isFirst = true;
  const update = (query: URLSearchParams): void => {
    filterbar(bar, declaration.filters, query);
    const read = refresh(query);
    if (!isFirst) void read.then(() => announce(t("figures_new")));
    isFirst = false;
  };
  const anew = async (): Promise<void> => {
    await quality.read(signal);
    const line = quality.head();
    head.querySelector(".freshness")?.remove();
    if (line) head.append(line);
    await refresh(new URLSearchParams(location.search));
  };
  // A run that ended may have published other figures.
  listen<Run>(
    "run",
    (event) => {
      if (isActive(event.status)) return;
      background(
        anew().then(() => announce(t("figures_new"))),
        signal,
      );
    },
    signal,
  );
  onBack(() => background(anew(), signal), signal);
  update(visit.query);
  const node = h(
    "div",
    { class: "dashboard" },
    head,
    declaration.filters.length > 0 ? bar : null,
    sections.length > 0 ? sections : empty(t("no_sections")),
  );
  return { title, node, update };
}
