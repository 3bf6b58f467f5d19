// From a chart's declaration and its rows to what ECharts draws: bars, lines, curves.
import type { EChartsCoreOption } from "echarts/core";
import { h } from "../dom.ts";
import { type Format, formatCell, formatNumber, isNumeric, toNumber } from "../format.ts";
import { named, words } from "../i18n.ts";
import { monthColumns, type Row } from "../table.ts";
import { colour, seriesColours } from "../theme.ts";
import type { Chart, Rows } from "../types.ts";

/** Bars more than these are in the table alone. */
export const MOST_BARS = 20;

export interface Mark {
  name: string;
  value: number | null;
  /** The row that the mark stands for. */
  row: Row;
}

interface Line {
  name: string;
  marks: (Mark | null)[];
}

export interface Drawing {
  option: EChartsCoreOption;
  /** The room that it needs, in pixels. */
  height: number;
  lines: Line[];
  /** Categories left out. */
  left: number;
}

/** The format of a column of values. */
export function formatOf(chart: Chart, column: string): Format {
  return chart.formats?.[column] ?? chart.format ?? "decimal";
}

export function labelOf(chart: Chart, column: string): string {
  return named(chart.labels?.[column], words(column));
}

function mix(from: string, to: string, share: number): string {
  return `color-mix(in srgb, ${to} ${Math.round(share * 100)}%, ${from})`;
}

/** Canvas knows no `color-mix`; the style sheet's engine works it out. */
function ramp(count: number): string[] {
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const made = Array.from({ length: count }, (_, at) => {
    probe.style.color = mix(colour("--ramp-from"), colour("--ramp-to"), count === 1 ? 1 : at / (count - 1));
    const parts = /^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)/.exec(getComputedStyle(probe).color);
    if (!parts) return colour("--series-1");
    return `rgb(${parts
      .slice(1, 4)
      .map((part) => Math.round(Number(part) * 255))
      .join(",")})`;
  });
  probe.remove();
  return made;
}

/** The categories of `x` in the rows' order, and a line for each series or for each column of `y`. */
export function shape(chart: Chart, data: Rows): { categories: string[]; lines: Line[] } {
  const place = new Map(data.columns.map((column, at) => [column.name, at]));
  const months = monthColumns(data.columns, data.rows);
  const text = (name: string, row: Row): string => {
    const at = place.get(name) ?? -1;
    const column = data.columns[at];
    return column ? formatCell(row[at], column, months.has(name)) : "";
  };
  const x = chart.x ?? data.columns[0]?.name ?? "";
  const categories = [...new Set(data.rows.map((row) => text(x, row)))];
  const at = new Map(categories.map((name, index) => [name, index]));
  const lines = new Map<string, Line>();
  for (const row of data.rows) {
    for (const column of chart.y) {
      const part = chart.series ? text(chart.series, row) : "";
      const name = chart.series
        ? chart.y.length > 1
          ? `${part} · ${labelOf(chart, column)}`
          : part
        : labelOf(chart, column);
      let line = lines.get(name);
      if (!line) {
        line = { name, marks: categories.map(() => null) };
        lines.set(name, line);
      }
      const category = text(x, row);
      line.marks[at.get(category) ?? 0] = { name: category, value: toNumber(row[place.get(column) ?? -1]), row };
    }
  }
  return { categories, lines: [...lines.values()] };
}

/** A tooltip out of nodes: names come from data, and are never markup. */
function tip(title: string, parts: { name: string; colour: string; text: string }[]): HTMLElement {
  return h(
    "div",
    { class: "tip" },
    h("strong", {}, title),
    parts.map((part) => {
      const dot = h("i", { class: "tip-dot" });
      dot.style.background = part.colour;
      return h("div", { class: "tip-row" }, dot, h("span", {}, part.name), h("b", {}, part.text));
    }),
  );
}

/** What ECharts draws; `selected` are categories that a filter keeps, and the others fade. */
export function draw(chart: Chart, data: Rows, selected: Set<string>, width: number): Drawing {
  const { categories, lines } = shape(chart, data);
  const xType = data.columns.find((column) => column.name === chart.x)?.type ?? "";
  const isLying = chart.kind === "bar" && !/^(DATE|TIMESTAMP)/i.test(xType) && !isNumeric(xType);
  const left = isLying ? Math.max(0, categories.length - MOST_BARS) : 0;
  const shown = left > 0 ? categories.slice(0, MOST_BARS) : categories;
  const format = formatOf(chart, chart.y[0] ?? "");
  const isOrdered = chart.kind === "curves" && chart.series !== null && lines.length > 5;
  const colours = isOrdered ? ramp(lines.length) : seriesColours();
  const muted = colour("--muted");
  const values = {
    type: "value",
    axisLabel: { color: muted, formatter: (value: number) => formatNumber(value, format, true), hideOverlap: true },
    splitLine: { lineStyle: { color: colour("--line") } },
    splitNumber: width < 420 ? 3 : 5,
  };
  const names = {
    type: "category",
    data: shown,
    inverse: isLying,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: colour("--line-strong") } },
    axisLabel: {
      color: isLying ? colour("--text") : muted,
      hideOverlap: true,
      ...(isLying ? { width: Math.min(150, width * 0.34), overflow: "truncate" } : {}),
    },
  };
  const hasLegend = lines.length > 1 && !isOrdered;
  const series = lines.map((line, order) => ({
    name: line.name,
    type: chart.kind === "bar" ? "bar" : "line",
    data: line.marks.slice(0, shown.length).map((mark) => ({
      value: mark?.value ?? null,
      itemStyle: { opacity: selected.size > 0 && mark && !selected.has(mark.name) ? 0.3 : 1 },
    })),
    color: colours[order % colours.length],
    barMaxWidth: isLying ? 14 : 28,
    barGap: "15%",
    showSymbol: line.marks.filter(Boolean).length < 3 || (!isOrdered && shown.length <= 24),
    symbol: "circle",
    symbolSize: 5,
    lineStyle: { width: isOrdered ? 1.5 : 2 },
    emphasis: { focus: lines.length > 1 && chart.kind !== "bar" ? "series" : "none" },
    connectNulls: false,
    triggerLineEvent: true,
    cursor: chart.filter_on_click || chart.drills.length > 0 ? "pointer" : "default",
  }));
  const height = isLying
    ? Math.max(160, shown.length * Math.max(26, lines.length * 17 + 8) + 60 + (hasLegend ? 28 : 0))
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
      textStyle: { color: colour("--text") },
      pageTextStyle: { color: muted },
    },
    tooltip: {
      trigger: isOrdered ? "item" : "axis",
      axisPointer: { type: chart.kind === "bar" ? "shadow" : "line", shadowStyle: { opacity: 0.08 } },
      confine: true,
      backgroundColor: colour("--raised"),
      borderColor: colour("--line-strong"),
      textStyle: { color: colour("--text"), fontSize: 13 },
      formatter: (raw: unknown) => {
        const points = (Array.isArray(raw) ? raw : [raw]) as {
          seriesIndex: number;
          dataIndex: number;
          color: string;
        }[];
        return tip(
          shown[points[0]?.dataIndex ?? 0] ?? "",
          points.map((point) => {
            const line = lines[point.seriesIndex];
            const value = line?.marks[point.dataIndex]?.value ?? null;
            return {
              name: line?.name ?? "",
              colour: point.color,
              text: value === null ? "–" : formatNumber(value, format),
            };
          }),
        );
      },
    },
    xAxis: isLying ? values : names,
    yAxis: isLying ? names : values,
    series,
  };
  return { option, height, lines, left };
}
