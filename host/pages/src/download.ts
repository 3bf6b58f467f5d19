// Saves files: the server's CSV of some rows, or a chart as PNG.
import { h } from "./dom.ts";

/** Saves the content of `href`, an address of the server or of a blob. */
export function save(href: string, name: string): void {
  const anchor = h("a", { href, download: name, hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

/** Saves `content` as a file. */
export function saveBlob(content: Blob, name: string): void {
  const href = URL.createObjectURL(content);
  save(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** A file name from a title and today's date. */
export function fileName(title: string, extension: string): string {
  const plain = title
    .normalize("NFD")
    .replace(/[^\w\s:-]/g, "")
    .trim()
    .toLowerCase()
    .replace(/[\s:]+/g, "-");
  return `${plain || "figures"}-${new Date().toISOString().slice(0, 10)}.${extension}`;
}
