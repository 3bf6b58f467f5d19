// The language of the pages: the reader's language, its texts, and names that data brings in several languages.
import { en } from "./texts/en.ts";
import { pt } from "./texts/pt.ts";

export type TextKey = keyof typeof en;
export type Language = "en" | "pt";
/** A text for each language, or one text for all languages. */
export type LocalizedText = string | Partial<Record<string, string>>;

type Stem<K> = K extends `${infer S}_one` ? S : never;
/** Keys that have a form for one (`_one`) and a form for several (`_other`), without the ending. */
type PluralKey = Stem<TextKey>;

const texts: Record<Language, Record<TextKey, string>> = { en, pt };
const STORAGE_KEY = "language";

function initialLanguage(): Language {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    if (stored === "en" || stored === "pt") return stored;
  } catch {
    // Without storage, the browser's languages decide.
  }
  for (const tag of navigator.languages) {
    if (tag.startsWith("pt")) return "pt";
    if (tag.startsWith("en")) return "en";
  }
  return "en";
}

const current: Language = initialLanguage();

export function language(): Language {
  return current;
}

/** The locale for `Intl`: the reader's own region where it has the current language. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.startsWith(current)) ?? (current === "pt" ? "pt-BR" : "en-US");
}

/** Changes the language and reloads the document. */
export function setLanguage(next: Language): void {
  try {
    localStorage.setItem(STORAGE_KEY, next);
  } catch {
    return;
  }
  location.reload();
}

/** The text of `key`, with `{name}` replaced by `values.name`. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return texts[current][key].replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder));
}

/** The singular or plural form of `key` for `count`; `shown` is the formatted count. Both languages use plural for 0. */
export function plural(key: PluralKey, count: number, shown: string): string {
  return t(count === 1 ? `${key}_one` : `${key}_other`, { count: shown });
}

/** Whether `key` has a text. */
export function hasText(key: string): key is TextKey {
  return Object.hasOwn(en, key);
}

/** `text` in the current language, else in English, else in any language, else `fallback`. */
export function localized(text: LocalizedText | null | undefined, fallback = ""): string {
  if (text === null || text === undefined) return fallback;
  if (typeof text === "string") return text;
  return text[current] ?? text.en ?? Object.values(text)[0] ?? fallback;
}

/** An identifier as words: `new_patients` → `new patients`. */
export function humanize(name: string): string {
  return name.replaceAll(/[_-]/g, " ");
}

/** An identifier as a heading: `new_patients` → `New patients`. */
export function heading(name: string): string {
  const plain = humanize(name);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** The heading of a column: its text, or its name. */
export function columnLabel(name: string): string {
  const key = `column_${name}`;
  return hasText(key) ? t(key) : heading(name);
}
