// The plugins of each pipeline: what each asks for, and what the pipeline grants it.

import { get } from "../api.ts";
import { h } from "../dom.ts";
import { t } from "../i18n.ts";
import { servedPipelines } from "../operate/served.ts";
import { stateText } from "../operate/state.ts";
import type { Page, Visit } from "../router.ts";
import { empty, problem, settle } from "../states.ts";
import type { PluginEntry } from "../types.ts";

function text(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function card(plugin: PluginEntry): HTMLElement {
  const needs = plugin.needs ?? [];
  return h(
    "article",
    { class: "card" },
    h("h3", {}, plugin.name, " ", plugin.version ? h("span", { class: "muted small" }, plugin.version) : null),
    h(
      "p",
      { class: "muted small" },
      plugin.kind ? `${stateText(plugin.kind)} ` : "",
      plugin.plugin && plugin.plugin !== plugin.name ? h("span", { class: "code" }, plugin.plugin) : null,
      plugin.streams?.length ? ` · ${plugin.streams.join(", ")}` : "",
    ),
    plugin.error
      ? h(
          "div",
          { class: "problem" },
          h("p", { class: "problem-message" }, plugin.error.message),
          plugin.error.hint ? h("p", {}, plugin.error.hint) : null,
        )
      : null,
    needs.length === 0
      ? h("p", { class: "muted" }, t("needs_nothing"))
      : h(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": t("needs") },
          h(
            "table",
            {},
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                [t("needs"), t("name"), t("granted")].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h(
              "tbody",
              {},
              needs.map((need) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, stateText(need.kind)),
                  h("td", { class: "code" }, need.name),
                  h(
                    "td",
                    { class: "code" },
                    text(need.granted ?? need.details) || h("span", { class: "muted" }, t("not_granted")),
                  ),
                ),
              ),
            ),
          ),
        ),
  );
}

export async function plugins({ signal }: Visit): Promise<Page> {
  const all = await servedPipelines(signal);
  const sections = all.map((entry) => {
    const place = h("div", { class: "plugins" });
    void settle(place, signal, async () => {
      const found = await get<PluginEntry[] | { plugins: PluginEntry[] }>(
        "/api/plugins",
        { pipeline: entry.name },
        signal,
      );
      const list = Array.isArray(found) ? found : found.plugins;
      return list.length > 0 ? list.map(card) : [empty(t("no_plugins"))];
    });
    return h("section", { class: "section", "aria-label": entry.name }, h("h2", {}, entry.name), place);
  });
  const node = h(
    "div",
    {},
    h("div", { class: "page-head" }, h("h1", {}, t("plugins")), h("p", {}, t("plugins_about"))),
    sections.length > 0 ? sections : problem(t("no_pipelines")),
  );
  return { title: t("plugins"), node };
}
