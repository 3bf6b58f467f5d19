// The page of plugins: the access that each plugin of a pipeline requests, and the access that it is granted.
import { get } from "../api.ts";
import { h, prose } from "../dom.ts";
import { formatCount, formatNumber, formatPlain } from "../format.ts";
import { t } from "../i18n.ts";
import { kindLabel, needLabel } from "../labels.ts";
import { readPipelines } from "../operate/entries.ts";
import type { Page, Visit } from "../router.ts";
import { empty, problem, settle } from "../states.ts";
import type { PluginEntry, PluginList, PluginNeed } from "../types.ts";

function httpStatuses(entries: unknown): string {
  const list = Array.isArray(entries) ? (entries as { status?: unknown; value?: unknown }[]) : [];
  return list.map(({ status, value }) => `${status}${value ? ` (${value})` : ""}`).join(", ");
}

/** The details of a need in words; details of an unknown shape as `name: value` pairs. */
function needDetails({ details }: PluginNeed): string {
  if (!details) return "";
  const { optional, requests, "per-ms": milliseconds, statuses, final } = details;
  if (typeof optional === "boolean") return t(optional ? "optional" : "required");
  if (typeof requests === "number" && typeof milliseconds === "number")
    return t("request_limit", {
      requests: formatCount(requests),
      seconds: formatNumber(milliseconds / 1000, "decimal"),
    });
  if (statuses !== undefined || final !== undefined) {
    const [retried, never] = [httpStatuses(statuses), httpStatuses(final)];
    return [
      retried ? t("retried_statuses", { statuses: retried }) : "",
      never ? t("final_statuses", { statuses: never }) : "",
    ]
      .filter(Boolean)
      .join("; ");
  }
  return formatPlain(details);
}

function errorBox(error: { message: string; hint?: string | null }): HTMLElement {
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
      plugin.contract ? `${kindLabel(plugin.contract)} ` : "",
      plugin.plugin !== plugin.name ? h("span", { class: "code" }, plugin.plugin) : null,
      plugin.streams?.length ? ` · ${plugin.streams.join(", ")}` : "",
    ),
    plugin.error ? errorBox(plugin.error) : null,
    needs.length === 0
      ? h("p", { class: "muted" }, t("no_needs"))
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
                [t("needs"), t("name"), t("description")].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h(
              "tbody",
              {},
              needs.map((need) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, needLabel(need.kind)),
                  h("td", { class: "code" }, need.name),
                  h("td", {}, needDetails(need)),
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
  const entries = await readPipelines(signal);
  const sections = entries.map((entry) => {
    const container = h("div", { class: "plugins" });
    void settle(container, signal, async () => {
      const { plugins: list, error } = await get<PluginList>("/api/plugins", { pipeline: entry.name }, signal);
      const cards = list.length > 0 ? list.map(card) : [empty(t("no_plugins"))];
      return error ? [errorBox(error), ...cards] : cards;
    });
    return h("section", { class: "section", "aria-label": entry.name }, h("h2", {}, entry.name), container);
  });
  const node = h(
    "div",
    {},
    h("div", { class: "page-head" }, h("h1", {}, t("plugins")), h("p", {}, t("plugins_about"))),
    sections.length > 0 ? sections : problem(t("no_pipelines")),
  );
  return { title: t("plugins"), node };
}
