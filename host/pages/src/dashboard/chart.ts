// The card of a chart: title, description, the chart or its table, CSV and PNG; clicks filter the page or open drills.
import { address, get } from "../api.ts";
import type { EChartsType } from "../charts/echarts.ts";
import { drawChart, formatOf, labelOf } from "../charts/options.ts";
import { savePicture } from "../charts/picture.ts";
import { button, fill, h } from "../dom.ts";
import { fileName, save } from "../download.ts";
import { toggleValue } from "../filters.ts";
import { localized, t } from "../i18n.ts";
import { figureStatusLabel } from "../labels.ts";
import { empty, problem } from "../states.ts";
import { type Row, table } from "../table.ts";
import { onTheme } from "../theme.ts";
import type { Chart, Filter, ItemRows } from "../types.ts";
import { openDrills } from "./drill.ts";
import type { Card } from "./figure.ts";
import { clickTarget, selectedMarks, selectionLine } from "./marks.ts";
import type { DataQuality } from "./quality.ts";

export function chartCard(chart: Chart, filters: Filter[], quality: DataQuality, signal: AbortSignal): Card {
  const label = localized(chart.label, chart.name);
  const description = localized(chart.description);
  const path = `/api/items/${encodeURIComponent(chart.name)}`;
  const canvas = h("div", {
    class: "chart-canvas",
    role: "img",
    "aria-label": `${label}. ${description} ${t("chart_table_hint")}`,
  });
  const body = h("div", { class: "chart-body" });
  const note = h("p", { class: "muted small" });
  const foot = h("div", { class: "figure-foot" });
  const selection = h("div", {});
  const canDrill = chart.drills.length > 0;
  let isTable = chart.kind === "table";
  let query = new URLSearchParams();
  let data: ItemRows | null = null;
  let instance: EChartsType | null = null;
  let reading = new AbortController();

  const open = (row: Row): void => {
    if (data && canDrill) openDrills({ item: chart, title: label, data, row, filters, query });
  };
  const click = (row: Row): void => {
    const target = data ? clickTarget(chart, filters, data, row) : null;
    if (target) toggleValue(target.filter, target.value);
    else open(row);
  };
  const asTable = (rows: ItemRows): HTMLElement => {
    const formats = Object.fromEntries(
      rows.columns
        .map((column) => [
          column.name,
          chart.formats?.[column.name] ?? (chart.y.includes(column.name) ? formatOf(chart, column.name) : undefined),
        ])
        .filter(([, format]) => format),
    );
    return table({
      columns: rows.columns,
      rows: rows.rows,
      caption: label,
      formats,
      labels: Object.fromEntries(rows.columns.map((column) => [column.name, labelOf(chart, column.name)])),
      hidden: chart.drill_key.filter((name) => name !== chart.x && name !== chart.series && !chart.y.includes(name)),
      cell: (column, value) =>
        column.name === "status" && typeof value === "string" ? figureStatusLabel(value) : undefined,
      ...(canDrill
        ? { open: { label: t("details"), run: open } }
        : chart.filter_on_click
          ? { open: { label: t("filter_by_value"), run: click } }
          : {}),
    });
  };
  const asChart = async (rows: ItemRows): Promise<void> => {
    const { init } = await import("../charts/echarts.ts");
    if (!canvas.isConnected) return;
    const selected = new Set(selectedMarks(chart, filters, query, rows).keys());
    const drawing = drawChart(chart, rows, selected, canvas.clientWidth);
    canvas.style.height = `${drawing.height}px`;
    instance ??= init(canvas, null, { renderer: "canvas" });
    instance.resize();
    instance.setOption(drawing.option, true);
    instance.off("click");
    instance.on("click", (event) => {
      const mark = drawing.series[event.seriesIndex ?? 0]?.marks[event.dataIndex];
      if (mark) click(mark.row);
    });
    note.textContent = drawing.omitted > 0 ? t("more_in_table", { count: drawing.omitted }) : "";
  };
  const show = async (): Promise<void> => {
    if (!data) return;
    const rows = data;
    tableButton?.setAttribute("aria-pressed", String(isTable));
    if (pngButton) pngButton.disabled = isTable || rows.rows.length === 0;
    fill(foot, quality.line(rows));
    fill(selection, selectionLine(selectedMarks(chart, filters, query, rows), click, canDrill ? open : null));
    if (rows.rows.length === 0) {
      dispose();
      fill(body, empty(t("no_data_for_filters")));
    } else if (isTable) {
      dispose();
      fill(body, asTable(rows));
    } else {
      if (!canvas.isConnected) fill(body, canvas, note);
      try {
        await asChart(rows);
      } catch (error) {
        // The chart library is loaded from the server, which may not respond.
        dispose();
        fill(
          body,
          problem(error, () => void show()),
        );
      }
    }
  };
  const dispose = (): void => {
    instance?.dispose();
    instance = null;
  };
  const tableButton =
    chart.kind === "table"
      ? null
      : button(
          t("table"),
          () => {
            isTable = !isTable;
            void show();
          },
          { class: "quiet", "aria-pressed": "false", "aria-label": t("table_of", { what: label }) },
        );
  const pngButton =
    chart.kind === "table"
      ? null
      : button("PNG", () => instance && void savePicture(instance, label), {
          class: "quiet",
          "aria-label": t("png_of", { what: label }),
        });
  const csvButton = button("CSV", () => save(address(`${path}.csv`, query), fileName(label, "csv")), {
    class: "quiet",
    "aria-label": t("csv_of", { what: label }),
  });
  const node = h(
    "article",
    { class: `card chart ${chart.kind}`, "data-item": chart.name, "aria-label": label },
    h(
      "div",
      { class: "chart-head" },
      h("h3", {}, label),
      h("div", { class: "chart-actions" }, tableButton, csvButton, pngButton),
    ),
    description ? h("p", { class: "chart-about" }, description) : null,
    selection,
    body,
    foot,
  );

  const resize = new ResizeObserver(() => {
    if (instance && data) void asChart(data);
  });
  resize.observe(node);
  onTheme(() => void show(), signal);
  signal.addEventListener("abort", () => {
    reading.abort();
    resize.disconnect();
    dispose();
  });
  const refresh = (next: URLSearchParams): Promise<void> => {
    query = next;
    reading.abort();
    reading = new AbortController();
    const { signal: readSignal } = reading;
    node.setAttribute("aria-busy", "true");
    return get<ItemRows>(path, query, readSignal).then(
      (rows) => {
        data = rows;
        node.removeAttribute("aria-busy");
        return show();
      },
      (error: unknown) => {
        if (readSignal.aborted) return;
        dispose();
        node.removeAttribute("aria-busy");
        fill(
          body,
          problem(error, () => void refresh(query)),
        );
      },
    );
  };
  return { node, refresh };
}
