// A sparkline: the small line of a figure's trend.
import { svg } from "../dom.ts";

const WIDTH = 120;
const HEIGHT = 34;
const EDGE = 3;

/** The line of `values`; a missing value leaves a gap, and fewer than two values give no line. */
export function sparkline(values: (number | null)[]): SVGSVGElement | null {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const least = Math.min(...known);
  const span = Math.max(...known) - least || 1;
  const x = (index: number): number => EDGE + (index / (values.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (value: number): number => HEIGHT - EDGE - ((value - least) / span) * (HEIGHT - 2 * EDGE);
  let path = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value !== null) path += `${isDrawing ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    isDrawing = value !== null;
  });
  const end = values.findLastIndex((value) => value !== null);
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: "spark", "aria-hidden": "true" },
    svg("path", { d: path, class: "spark-line" }),
    svg("circle", { cx: x(end), cy: y(values[end] ?? least), r: 2.5, class: "spark-end" }),
  );
}
