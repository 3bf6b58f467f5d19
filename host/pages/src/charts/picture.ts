// A chart as a PNG with its title.
import { h } from "../dom.ts";
import { fileName, saveBlob } from "../download.ts";
import { colour } from "../theme.ts";
import type { EChartsType } from "./echarts.ts";

/** The drawing with its title above, as a PNG of twice the size on the screen. */
export async function picture(drawn: EChartsType, title: string): Promise<void> {
  const scale = 2;
  const source = drawn.renderToCanvas({ pixelRatio: scale, backgroundColor: colour("--surface") });
  const margin = 16 * scale;
  const head = 34 * scale;
  const whole = h("canvas", { width: source.width + 2 * margin, height: source.height + 2 * margin + head });
  const pen = whole.getContext("2d");
  if (!pen) return;
  pen.fillStyle = colour("--surface");
  pen.fillRect(0, 0, whole.width, whole.height);
  pen.fillStyle = colour("--text");
  pen.font = `600 ${17 * scale}px ${getComputedStyle(document.documentElement).fontFamily}`;
  pen.fillText(title, margin, margin + 18 * scale, whole.width - 2 * margin);
  pen.drawImage(source, margin, margin + head);
  const blob = await new Promise<Blob | null>((done) => {
    whole.toBlob(done, "image/png");
  });
  if (blob) saveBlob(blob, fileName(title, "png"));
}
