// Puts a file into the reader's hands: rows as CSV, a chart as PNG.
import { h } from "./dom.ts";

/** Saves what is at `href`, an address of the server or of a blob. */
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

function field(value: unknown): string {
  if (value === null || value === undefined) return "";
  let text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet takes such text for a formula.
  if (typeof value === "string" && /^[=+@\t\r]|^-(?![\d.]+$)/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows as CSV (RFC 4180), with a header. */
export function csv(columns: string[], rows: unknown[][]): string {
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** A file's name from a title and today's date. */
export function fileName(title: string, extension: string): string {
  const plain = title
    .normalize("NFD")
    .replace(/[^\w\s:-]/g, "")
    .trim()
    .toLowerCase()
    .replace(/[\s:]+/g, "-");
  return `${plain || "figures"}-${new Date().toISOString().slice(0, 10)}.${extension}`;
}
