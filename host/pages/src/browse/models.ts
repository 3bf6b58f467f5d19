// The page of models: a graph, a list with a search, and a panel with the columns, tests and drills of a model.
import { get } from "../api.ts";
import { openDialog } from "../dialog.ts";
import { fill, h, link, prose } from "../dom.ts";
import { formatAgo, formatCount } from "../format.ts";
import { humanize, plural, t } from "../i18n.ts";
import { kindLabel } from "../labels.ts";
import { drawGraph } from "../operate/graph.ts";
import type { Page, Visit } from "../router.ts";
import { empty } from "../states.ts";
import type { Graph, Model } from "../types.ts";

function graphOf(models: Model[]): Graph {
  const names = new Set(models.map((model) => model.model));
  return {
    nodes: models.map((model) => ({
      id: model.model,
      kind: model.kind,
      name: model.model,
      rows: model.rows ?? null,
      status: model.is_modified ? "modified" : null,
    })),
    edges: models.flatMap((model) =>
      model.reads.filter((read) => names.has(read)).map((read) => ({ from: read, to: model.model })),
    ),
  };
}

function openModel(model: Model, models: Model[]): void {
  const dialog = openDialog(model.model, "side", model.description ? h("p", {}, prose(model.description)) : null);
  const names = (list: string[]): (HTMLElement | string)[] =>
    list.length === 0
      ? ["–"]
      : list.flatMap((name, index) => [
          index > 0 ? ", " : "",
          models.some((other) => other.model === name)
            ? link(`/models?model=${encodeURIComponent(name)}`, name, { class: "code" })
            : h("span", { class: "code" }, name),
        ]);
  fill(
    dialog.body,
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, t("kind")),
      h("dd", {}, kindLabel(model.kind)),
      model.rows !== null && model.rows !== undefined
        ? [h("dt", {}, t("rows")), h("dd", {}, formatCount(model.rows))]
        : null,
      model.built_at ? [h("dt", {}, t("built")), h("dd", {}, formatAgo(model.built_at))] : null,
      h("dt", {}, t("reads")),
      h("dd", {}, names(model.reads)),
      h("dt", {}, t("read_by")),
      h("dd", {}, names(model.read_by)),
      model.tags.length > 0 ? [h("dt", {}, t("tags")), h("dd", {}, model.tags.join(", "))] : null,
    ),
    h(
      "section",
      { class: "section" },
      h("h3", {}, t("columns")),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": t("columns") },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              [t("field"), t("data_type"), t("description"), t("tests")].map((name) => h("th", { scope: "col" }, name)),
            ),
          ),
          h(
            "tbody",
            {},
            model.columns.map((column) =>
              h(
                "tr",
                {},
                h("th", { scope: "row", class: "code" }, column.name),
                h("td", { class: "code" }, column.type ?? ""),
                h(
                  "td",
                  {},
                  prose(column.description ?? ""),
                  column.formula_source ? h("div", { class: "muted" }, column.formula_source) : null,
                ),
                h("td", {}, (column.tests ?? []).join(", ")),
              ),
            ),
          ),
        ),
      ),
    ),
    h(
      "section",
      { class: "section" },
      h("h3", {}, t("tests")),
      model.tests.length + model.unit_tests.length === 0
        ? h("p", { class: "muted" }, t("no_tests"))
        : h(
            "ul",
            { class: "plain" },
            model.tests.map((test) =>
              h(
                "li",
                {},
                h("span", { class: "code" }, test.name),
                test.severity === "warn" ? ` (${t("warning_only")})` : "",
              ),
            ),
            model.unit_tests.map((test) =>
              h("li", {}, h("span", { class: "code" }, test), h("span", { class: "muted" }, ` ${t("unit_test")}`)),
            ),
          ),
    ),
    model.drills.length > 0 ? h("p", {}, t("drills"), ": ", model.drills.map(humanize).join(", ")) : null,
  );
  dialog.body.addEventListener("click", (event) => {
    if (event.target instanceof HTMLAnchorElement) dialog.close();
  });
}

export async function models({ query, signal }: Visit): Promise<Page> {
  const { models: list } = await get<{ models: Model[] }>("/api/models", {}, signal);
  const open = (name: string): void => {
    const model = list.find((candidate) => candidate.model === name);
    if (model) openModel(model, list);
  };
  const graph = drawGraph(graphOf(list), t("model_graph"), (node) => open(node.id));
  const search = h("input", { type: "search", autocomplete: "off" });
  const rows = h("ul", { class: "model-list" });
  const show = (): void => {
    const term = search.value.trim().toLowerCase();
    const matches = list.filter((model) =>
      `${model.model} ${model.description ?? ""} ${model.tags.join(" ")}`.toLowerCase().includes(term),
    );
    fill(
      rows,
      matches.map((model) =>
        h(
          "li",
          {},
          link(`/models?model=${encodeURIComponent(model.model)}`, model.model, { class: "code" }),
          h(
            "span",
            { class: "muted small" },
            ` ${kindLabel(model.kind)}${model.rows !== null && model.rows !== undefined ? ` · ${plural("rows", model.rows, formatCount(model.rows))}` : ""}`,
          ),
          h("p", {}, prose(model.description ?? "")),
        ),
      ),
      matches.length === 0 ? empty(t("no_models_found")) : null,
    );
  };
  search.addEventListener("input", show);
  show();
  const update = (next: URLSearchParams): void => open(next.get("model") ?? "");
  const node = h(
    "div",
    {},
    h("div", { class: "page-head" }, h("h1", {}, t("models")), h("p", {}, t("models_about"))),
    list.length > 0 ? graph.node : empty(t("no_models")),
    h(
      "section",
      { class: "section" },
      h("div", { class: "toolbar" }, h("label", { class: "grow" }, t("search"), search)),
      rows,
    ),
  );
  queueMicrotask(() => update(query));
  return { title: t("models"), node, update };
}
