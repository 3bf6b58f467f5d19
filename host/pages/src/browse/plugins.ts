// The plugins of each pipeline: what each asks for, and what the pipeline grants it.

import { get } from "../api.ts";
import { h, prose } from "../dom.ts";
import { t } from "../i18n.ts";
import { servedPipelines } from "../operate/served.ts";
import { statusText } from "../operate/status.ts";
import type { Page, Visit } from "../router.ts";
import { empty, problem, settle } from "../states.ts";
import type { PluginEntry, Plugins } from "../types.ts";

function text(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function refused(error: { message: string; hint?: string | null }): HTMLElement {
  return h(
    "div",
    { class: "problem" },
    h("p", { class: "problem-message" }, prose(error.message)),
    error.hint ? h("p", {}, prose(error.hint)) : null,
  );
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
      plugin.contract ? `${statusText(plugin.contract)} ` : "",
      plugin.plugin !== plugin.name ? h("span", { class: "code" }, plugin.plugin) : null,
      plugin.streams?.length ? ` · ${plugin.streams.join(", ")}` : "",
    ),
    plugin.error ? refused(plugin.error) : null,
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
                [t("needs"), t("name"), t("about")].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h(
              "tbody",
              {},
              needs.map((need) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, statusText(need.kind)),
                  h("td", { class: "code" }, need.name),
                  h("td", { class: "code" }, text(need.details)),
                ),
              ),
            ),
          ),
        ),
    needs.length === 0
      ? null
      : h(
          "p",
          {},
          `${t("granted")}: `,
          plugin.granted?.length
            ? h("span", { class: "code" }, plugin.granted.join(", "))
            : h("span", { class: "muted" }, t("not_granted")),
        ),
  );
}

export async function plugins({ signal }: Visit): Promise<Page> {
  const all = await servedPipelines(signal);
  const sections = all.map((entry) => {
    const place = h("div", { class: "plugins" });
    void settle(place, signal, async () => {
      const { plugins: list, error } = await get<Plugins>("/api/plugins", { pipeline: entry.name }, signal);
      const cards = list.length > 0 ? list.map(card) : [empty(t("no_plugins"))];
      return error ? [refused(error), ...cards] : cards;
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
