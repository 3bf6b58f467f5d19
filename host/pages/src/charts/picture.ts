// Saves a chart with its title as PNG.
import { h } from "../dom.ts";
import { fileName, saveBlob } from "../download.ts";
import { color } from "../theme.ts";
import type { EChartsType } from "./echarts.ts";

/** Saves the chart with its title above, at twice the size of the screen. */
export async function savePicture(chart: EChartsType, title: string): Promise<void> {
  const scale = 2;
  const source = chart.renderToCanvas({ pixelRatio: scale, backgroundColor: color("--surface") });
  const margin = 16 * scale;
  const head = 34 * scale;
  const canvas = h("canvas", { width: source.width + 2 * margin, height: source.height + 2 * margin + head });
  const context = canvas.getContext("2d");
  if (!context) return;
  context.fillStyle = color("--surface");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = color("--text");
  context.font = `600 ${17 * scale}px ${getComputedStyle(document.documentElement).fontFamily}`;
  context.fillText(title, margin, margin + 18 * scale, canvas.width - 2 * margin);
  context.drawImage(source, margin, margin + head);
  const blob = await new Promise<Blob | null>((resolve) => {
    canvas.toBlob(resolve, "image/png");
  });
  if (blob) saveBlob(blob, fileName(title, "png"));
}
