// Turns a chart's declaration and rows into the options of ECharts: bars, lines, curves.
import type { EChartsCoreOption } from "echarts/core";
import { h } from "../dom.ts";
import { type Format, formatCell, formatNumber, isNumeric, toNumber } from "../format.ts";
import { columnLabel, localized } from "../i18n.ts";
import { monthColumns, type Row } from "../table.ts";
import { color, seriesColors } from "../theme.ts";
import type { Chart, Rows } from "../types.ts";

/** The largest number of horizontal bars. The table shows the others. */
const MAX_BARS = 20;

interface Mark {
  name: string;
  value: number | null;
  row: Row;
}

interface Series {
  name: string;
  marks: (Mark | null)[];
}

export interface ChartDrawing {
  option: EChartsCoreOption;
  /** In pixels. */
  height: number;
  series: Series[];
  /** The number of categories that are not drawn. */
  omitted: number;
}

export function formatOf(chart: Chart, column: string): Format {
  return chart.formats?.[column] ?? chart.format ?? "decimal";
}

export function labelOf(chart: Chart, column: string): string {
  return localized(chart.labels?.[column], columnLabel(column));
}

function mix(from: string, to: string, share: number): string {
  return `color-mix(in srgb, ${to} ${Math.round(share * 100)}%, ${from})`;
}

/** Colors from light to dark. A canvas cannot parse `color-mix`, so the browser's style engine computes it. */
function colorRamp(count: number): string[] {
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const colors = Array.from({ length: count }, (_, index) => {
    probe.style.color = mix(color("--ramp-from"), color("--ramp-to"), count === 1 ? 1 : index / (count - 1));
    const parts = /^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)/.exec(getComputedStyle(probe).color);
    if (!parts) return color("--series-1");
    return `rgb(${parts
      .slice(1, 4)
      .map((part) => Math.round(Number(part) * 255))
      .join(",")})`;
  });
  probe.remove();
  return colors;
}

/** The categories of `x` in the order of the rows, and one series for each value of `series` or each column of `y`. */
function groupSeries(chart: Chart, data: Rows): { categories: string[]; series: Series[] } {
  const columnIndex = new Map(data.columns.map((column, index) => [column.name, index]));
  const months = monthColumns(data.columns, data.rows);
  const text = (name: string, row: Row): string => {
    const index = columnIndex.get(name) ?? -1;
    const column = data.columns[index];
    return column ? formatCell(row[index], column, months.has(name)) : "";
  };
  const x = chart.x ?? data.columns[0]?.name ?? "";
  const categories = [...new Set(data.rows.map((row) => text(x, row)))];
  const categoryIndex = new Map(categories.map((name, index) => [name, index]));
  const byName = new Map<string, Series>();
  for (const row of data.rows) {
    for (const column of chart.y) {
      const part = chart.series ? text(chart.series, row) : "";
      const name = chart.series
        ? chart.y.length > 1
          ? `${part} · ${labelOf(chart, column)}`
          : part
        : labelOf(chart, column);
      let series = byName.get(name);
      if (!series) {
        series = { name, marks: categories.map(() => null) };
        byName.set(name, series);
      }
      const category = text(x, row);
      const value = toNumber(row[columnIndex.get(column) ?? -1]);
      series.marks[categoryIndex.get(category) ?? 0] = { name: category, value, row };
    }
  }
  return { categories, series: [...byName.values()] };
}

/** A tooltip. It is built from nodes, because its names come from data. */
function tooltip(title: string, parts: { name: string; color: string; text: string }[]): HTMLElement {
  return h(
    "div",
    { class: "tip" },
    h("strong", {}, title),
    parts.map((part) => {
      const dot = h("i", { class: "tip-dot" });
      dot.style.background = part.color;
      return h("div", { class: "tip-row" }, dot, h("span", {}, part.name), h("b", {}, part.text));
    }),
  );
}

/** The options for ECharts at a width in pixels. Categories that are not in `selected` fade, unless it is empty. */
export function drawChart(chart: Chart, data: Rows, selected: Set<string>, width: number): ChartDrawing {
  const { categories, series } = groupSeries(chart, data);
  const xType = data.columns.find((column) => column.name === chart.x)?.type ?? "";
  const isHorizontal = chart.kind === "bar" && !/^(DATE|TIMESTAMP)/i.test(xType) && !isNumeric(xType);
  const omitted = isHorizontal ? Math.max(0, categories.length - MAX_BARS) : 0;
  const shown = omitted > 0 ? categories.slice(0, MAX_BARS) : categories;
  const format = formatOf(chart, chart.y[0] ?? "");
  const isOrdered = chart.kind === "curves" && chart.series !== null && series.length > 5;
  const colors = isOrdered ? colorRamp(series.length) : seriesColors();
  const muted = color("--muted");
  const valueAxis = {
    type: "value",
    axisLabel: { color: muted, formatter: (value: number) => formatNumber(value, format, true), hideOverlap: true },
    splitLine: { lineStyle: { color: color("--line") } },
    splitNumber: width < 420 ? 3 : 5,
  };
  const categoryAxis = {
    type: "category",
    data: shown,
    inverse: isHorizontal,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: color("--line-strong") } },
    axisLabel: {
      color: isHorizontal ? color("--text") : muted,
      hideOverlap: true,
      ...(isHorizontal ? { width: Math.min(150, width * 0.34), overflow: "truncate" } : {}),
    },
  };
  const hasLegend = series.length > 1 && !isOrdered;
  const drawnSeries = series.map((one, index) => ({
    name: one.name,
    type: chart.kind === "bar" ? "bar" : "line",
    data: one.marks.slice(0, shown.length).map((mark) => ({
      value: mark?.value ?? null,
      itemStyle: { opacity: selected.size > 0 && mark && !selected.has(mark.name) ? 0.3 : 1 },
    })),
    color: colors[index % colors.length],
    barMaxWidth: isHorizontal ? 14 : 28,
    barGap: "15%",
    showSymbol: one.marks.filter(Boolean).length < 3 || (!isOrdered && shown.length <= 24),
    symbol: "circle",
    symbolSize: 5,
    lineStyle: { width: isOrdered ? 1.5 : 2 },
    emphasis: { focus: series.length > 1 && chart.kind !== "bar" ? "series" : "none" },
    connectNulls: false,
    triggerLineEvent: true,
    cursor: chart.filter_on_click || chart.drills.length > 0 ? "pointer" : "default",
  }));
  const height = isHorizontal
    ? Math.max(160, shown.length * Math.max(26, series.length * 17 + 8) + 60 + (hasLegend ? 28 : 0))
    : 300;
  const option: EChartsCoreOption = {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.documentElement).fontFamily, fontSize: 12 },
    grid: {
      left: 4,
      right: 18,
      top: hasLegend ? 40 : 14,
      bottom: 4,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    legend: {
      show: hasLegend,
      top: 0,
      left: 0,
      icon: "roundRect",
      itemWidth: 10,
      itemHeight: 10,
      type: "scroll",
      textStyle: { color: color("--text") },
      pageTextStyle: { color: muted },
    },
    tooltip: {
      trigger: isOrdered ? "item" : "axis",
      axisPointer: { type: chart.kind === "bar" ? "shadow" : "line", shadowStyle: { opacity: 0.08 } },
      confine: true,
      backgroundColor: color("--raised"),
      borderColor: color("--line-strong"),
      textStyle: { color: color("--text"), fontSize: 13 },
      formatter: (raw: unknown) => {
        const points = (Array.isArray(raw) ? raw : [raw]) as {
          seriesIndex: number;
          dataIndex: number;
          color: string;
        }[];
        return tooltip(
          shown[points[0]?.dataIndex ?? 0] ?? "",
          points.map((point) => {
            const one = series[point.seriesIndex];
            const value = one?.marks[point.dataIndex]?.value ?? null;
            return {
              name: one?.name ?? "",
              color: point.color,
              text: value === null ? "–" : formatNumber(value, format),
            };
          }),
        );
      },
    },
    xAxis: isHorizontal ? valueAxis : categoryAxis,
    yAxis: isHorizontal ? categoryAxis : valueAxis,
    series: drawnSeries,
  };
  return { option, height, series, omitted };
}
