// A card of one chart: title, what it shows, the drawing or its table, CSV and PNG, clicks that filter or drill.
import { address, get } from "../api.ts";
import type { EChartsType } from "../charts/echarts.ts";
import { draw, formatOf, labelOf, type Mark } from "../charts/options.ts";
import { picture } from "../charts/picture.ts";
import { button, fill, h } from "../dom.ts";
import { fileName, save } from "../download.ts";
import { toggle } from "../filters.ts";
import { named, t } from "../i18n.ts";
import { empty, problem } from "../states.ts";
import { type Row, table } from "../table.ts";
import { onTheme } from "../theme.ts";
import type { Chart, Filter, ItemRows } from "../types.ts";
import { openDrills } from "./drill.ts";
import type { Card } from "./figure.ts";
import type { Quality } from "./freshness.ts";
import { clickOf, selected, selectedLine } from "./marks.ts";

export function chartCard(chart: Chart, filters: Filter[], quality: Quality, signal: AbortSignal): Card {
  const label = named(chart.label, chart.name);
  const about = named(chart.description);
  const path = `/api/items/${encodeURIComponent(chart.name)}`;
  const canvas = h("div", {
    class: "chart-canvas",
    role: "img",
    "aria-label": `${label}. ${about} ${t("chart_table_hint")}`,
  });
  const body = h("div", { class: "chart-body" });
  const foot = h("div", { class: "figure-foot" });
  const only = h("div", {});
  const canDrill = chart.drills.length > 0;
  let isTable = chart.kind === "table";
  let query = new URLSearchParams();
  let data: ItemRows | null = null;
  let drawn: EChartsType | null = null;
  let reading = new AbortController();

  const open = (row: Row): void => {
    if (data && canDrill) openDrills(chart, label, data, row, query);
  };
  const click = (row: Row): void => {
    const target = data ? clickOf(chart, filters, data, row) : null;
    if (target) toggle(target.filter, target.value);
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
      ...(canDrill
        ? { open: { label: t("details"), run: open } }
        : chart.filter_on_click
          ? { open: { label: t("filter_by"), run: click } }
          : {}),
    });
  };
  const asChart = async (rows: ItemRows): Promise<void> => {
    const { init } = await import("../charts/echarts.ts");
    if (!canvas.isConnected) return;
    const drawing = draw(chart, rows, new Set(selected(chart, filters, query, rows).keys()), canvas.clientWidth);
    canvas.style.height = `${drawing.height}px`;
    drawn ??= init(canvas, null, { renderer: "canvas" });
    drawn.resize();
    drawn.setOption(drawing.option, true);
    drawn.off("click");
    drawn.on("click", (event) => {
      const mark: Mark | null | undefined = drawing.lines[event.seriesIndex ?? 0]?.marks[event.dataIndex];
      if (mark) click(mark.row);
    });
    note.textContent = drawing.left > 0 ? t("more_in_table", { count: drawing.left }) : "";
  };
  const note = h("p", { class: "muted small" });
  const show = async (): Promise<void> => {
    if (!data) return;
    const rows = data;
    toggler?.setAttribute("aria-pressed", String(isTable));
    if (png) png.disabled = isTable || rows.rows.length === 0;
    fill(foot, quality.line(chart, rows));
    fill(only, selectedLine(selected(chart, filters, query, rows), click, canDrill ? open : null));
    if (rows.rows.length === 0) {
      drop();
      fill(body, empty(t("no_rows_filtered")));
    } else if (isTable) {
      drop();
      fill(body, asTable(rows));
    } else {
      if (!canvas.isConnected) fill(body, canvas, note);
      try {
        await asChart(rows);
      } catch (error) {
        // What draws is read from the server, too.
        drop();
        fill(
          body,
          problem(error, () => void show()),
        );
      }
    }
  };
  const drop = (): void => {
    drawn?.dispose();
    drawn = null;
  };
  const toggler =
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
  const png =
    chart.kind === "table"
      ? null
      : button("PNG", () => drawn && void picture(drawn, label), {
          class: "quiet",
          "aria-label": t("png_of", { what: label }),
        });
  const csv = button("CSV", () => save(address(`${path}.csv`, query), fileName(label, "csv")), {
    class: "quiet",
    "aria-label": t("csv_of", { what: label }),
  });
  const node = h(
    "article",
    { class: `card chart ${chart.kind}`, "data-item": chart.name, "aria-label": label },
    h("div", { class: "chart-head" }, h("h3", {}, label), h("div", { class: "chart-actions" }, toggler, csv, png)),
    about ? h("p", { class: "chart-about" }, about) : null,
    only,
    body,
    foot,
  );

  const resize = new ResizeObserver(() => {
    if (drawn && data) void asChart(data);
  });
  resize.observe(node);
  onTheme(() => void show(), signal);
  signal.addEventListener("abort", () => {
    reading.abort();
    resize.disconnect();
    drop();
  });
  const refresh = (next: URLSearchParams): Promise<void> => {
    query = next;
    reading.abort();
    reading = new AbortController();
    const mine = reading.signal;
    node.setAttribute("aria-busy", "true");
    return get<ItemRows>(path, query, mine).then(
      (rows) => {
        data = rows;
        node.removeAttribute("aria-busy");
        return show();
      },
      (error: unknown) => {
        if (mine.aborted) return;
        drop();
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
