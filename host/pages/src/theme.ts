// Light and dark: the system's choice until the reader makes one, which is kept in this browser.

export type Theme = "light" | "dark";

const KEY = "theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // A browser that keeps nothing still shows the pages.
  }
}

/** The theme that is shown. */
export function theme(): Theme {
  const choice = stored();
  if (choice === "light" || choice === "dark") return choice;
  return system.matches ? "dark" : "light";
}

function apply(): void {
  document.documentElement.dataset.theme = theme();
  for (const listener of listeners) listener();
}

/** Shows the other theme from now on. */
export function toggleTheme(): void {
  try {
    localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
  } catch {
    // The choice holds for no longer than this page then.
  }
  apply();
}

/** Calls `listener` whenever the theme changes, until `signal` ends. */
export function onTheme(listener: () => void, signal: AbortSignal): void {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** A colour of the style sheet, `--accent`, as the theme that is shown has it. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Colours of a chart's series, told apart by colour-blind readers too (after Okabe and Ito). */
export function seriesColours(): string[] {
  return [1, 2, 3, 4, 5, 6, 7].map((place) => colour(`--series-${place}`));
}

export function startTheme(): void {
  system.addEventListener("change", apply);
  apply();
}
