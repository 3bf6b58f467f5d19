// Formats numbers, money, dates, times and other values in the reader's language.
import { humanize, locale } from "./i18n.ts";

/** What a number means. */
export type Format = "ratio" | "money" | "percent" | "integer" | "months" | "decimal";

export interface Column {
  name: string;
  type: string;
}

let currency = "USD";
/** Sets the currency of all amounts, an ISO 4217 code. */
export function setCurrency(code: string | null | undefined): void {
  if (code) currency = code;
}

const numberFormats = new Map<string, Intl.NumberFormat>();
function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let format = numberFormats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale(), options);
    numberFormats.set(key, format);
  }
  return format;
}

/** The number in `value`, if it is one. The server sends decimals as text, so that they keep all digits. */
export function toNumber(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "string" || value.trim() === "") return null;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : null;
}

/** A number in a format; `short` is the form for axes: `R$ 12 mil`. */
export function formatNumber(value: number, format: Format, short = false): string {
  const compact: Intl.NumberFormatOptions =
    short && Math.abs(value) >= 10_000 ? { notation: "compact", maximumFractionDigits: 1 } : {};
  switch (format) {
    case "money": {
      const digits = short ? 0 : Math.abs(value) >= 100_000 ? 0 : 2;
      const small = short && Math.abs(value) < 10 && value % 1 !== 0 ? 2 : digits;
      return numberFormat({
        style: "currency",
        currency,
        currencyDisplay: "narrowSymbol",
        minimumFractionDigits: compact.notation ? 0 : small,
        maximumFractionDigits: small,
        ...compact,
      }).format(value);
    }
    case "percent":
      return numberFormat({ style: "percent", maximumFractionDigits: short ? 0 : 1 }).format(value);
    case "integer":
      return numberFormat({ maximumFractionDigits: 0, ...compact }).format(value);
    case "months":
      return numberFormat({
        style: "unit",
        unit: "month",
        unitDisplay: short ? "short" : "long",
        maximumFractionDigits: 1,
      }).format(value);
    case "ratio":
      return numberFormat({ minimumFractionDigits: short ? 0 : 2, maximumFractionDigits: 2 }).format(value);
    case "decimal":
      return numberFormat({ maximumFractionDigits: 2, ...compact }).format(value);
  }
}

export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL|DOUBLE|FLOAT|REAL)/i.test(type);
}

const PLAIN_DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

/** A date without time, `2026-10-01`; with `asMonth` only its month and year. */
export function formatDate(text: string, asMonth = false): string {
  const parts = PLAIN_DATE.exec(text);
  if (!parts) return text;
  const date = new Date(Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3])));
  const options: Intl.DateTimeFormatOptions = asMonth
    ? { month: "short", year: "numeric", timeZone: "UTC" }
    : { dateStyle: "medium", timeZone: "UTC" };
  return new Intl.DateTimeFormat(locale(), options).format(date);
}

/** A month, `2026-10`, as `Oct 2026`. */
export function formatMonth(text: string): string {
  return formatDate(`${text.slice(0, 7)}-01`, true);
}

/** Parses a timestamp of DuckDB, `2026-10-01 08:30:00+00`, or of RFC 3339. */
function parseTimestamp(text: string): Date {
  return new Date(text.includes(":") ? text.replace(" ", "T").replace(/([+-]\d{2})$/, "$1:00") : text);
}

/** A timestamp in the reader's time zone. */
export function formatTime(text: string): string {
  const date = parseTimestamp(text);
  if (Number.isNaN(date.getTime())) return text;
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** The distance of a timestamp from now: `2 hours ago`, `in 3 days`. */
export function formatAgo(text: string, now = Date.now()): string {
  const seconds = (parseTimestamp(text).getTime() - now) / 1000;
  if (Number.isNaN(seconds)) return text;
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  for (const [unit, length] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return relative.format(Math.trunc(seconds), "second");
}

/** A duration: `0.3 s`, `2 min 05 s`, `1 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${numberFormat({ maximumFractionDigits: 1, minimumFractionDigits: 1 }).format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  const rest = Math.floor(seconds % 60)
    .toString()
    .padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${rest} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function formatCount(value: number): string {
  return formatNumber(value, "integer");
}

/** A value without a format. Lists and objects become `name: value` pairs separated by commas, not JSON. */
export function formatPlain(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(formatPlain).join(", ");
  return Object.entries(value)
    .map(([name, part]) => `${humanize(name)}: ${formatPlain(part)}`)
    .join(", ");
}

/** A cell of a table; `asMonth` shows dates as months. */
export function formatCell(value: unknown, column: Column, asMonth = false, format?: Format): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "✓" : "–";
  if (isNumeric(column.type) && typeof value !== "object") {
    const parsed = toNumber(value);
    if (parsed === null) return String(value);
    if (format) return formatNumber(parsed, format);
    if (/INT/i.test(column.type)) return formatNumber(parsed, "integer");
    // Decimals are amounts or ratios of amounts: two places line up in a column.
    return /^DECIMAL/i.test(column.type) ? formatNumber(parsed, "ratio") : formatNumber(parsed, "decimal");
  }
  if (Array.isArray(value) && value.length === 0) return "–";
  const text = formatPlain(value);
  // DuckDB writes a list as `[a, b]`.
  if (column.type.endsWith("[]")) return text.replace(/^\[(.*)\]$/s, "$1") || "–";
  if (/^DATE$/i.test(column.type)) return formatDate(text, asMonth);
  if (/^TIMESTAMP/i.test(column.type)) return formatTime(text);
  return text;
}
