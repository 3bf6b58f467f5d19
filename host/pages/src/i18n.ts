// The language of the pages: which one, its texts, and names that data brings in several languages.
import { en } from "./texts/en.ts";
import { pt } from "./texts/pt.ts";

export type Key = keyof typeof en;
export type Language = "en" | "pt";
/** A name in each language, or the same in all. */
export type Named = string | Partial<Record<string, string>>;

const texts: Record<Language, Record<Key, string>> = { en, pt };
const KEY = "language";

function first(): Language {
  try {
    const stored = localStorage.getItem(KEY);
    if (stored === "en" || stored === "pt") return stored;
  } catch {
    // Then the browser's languages tell.
  }
  for (const tag of navigator.languages) {
    if (tag.startsWith("pt")) return "pt";
    if (tag.startsWith("en")) return "en";
  }
  return "en";
}

const current: Language = first();

export function language(): Language {
  return current;
}

/** The language as Intl takes it, with the reader's own region where it is the same language. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.startsWith(current)) ?? (current === "pt" ? "pt-BR" : "en-US");
}

/** Shows the pages in another language: everything is drawn anew. */
export function setLanguage(next: Language): void {
  try {
    localStorage.setItem(KEY, next);
  } catch {
    return;
  }
  location.reload();
}

/** A text, with `{name}` replaced by `values.name`. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return texts[current][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A text of which there is one for one thing and one for several: `key_one`, `key_other`. */
export function plural(stem: string, count: number, shown: string): string {
  const form = new Intl.PluralRules(current).select(count) === "one" ? "one" : "other";
  return t(`${stem}_${form}` as Key, { count: shown });
}

/** Whether there is a text of this name, for words that data brings (`no_spend`). */
export function has(key: string): key is Key {
  return key in en;
}

/** A name in the language shown, or in any, or `fallback`. */
export function named(name: Named | null | undefined, fallback = ""): string {
  if (name === null || name === undefined) return fallback;
  if (typeof name === "string") return name;
  return name[current] ?? name.en ?? Object.values(name)[0] ?? fallback;
}

/** A column's or a code's name as words: `cac_blended` → `cac blended`. */
export function words(name: string): string {
  const key = `column_${name}`;
  if (has(key)) return t(key);
  return name.replaceAll("_", " ");
}
