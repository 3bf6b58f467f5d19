// The light and the dark theme: the system's theme until the reader selects one, which this browser remembers.

export type Theme = "light" | "dark";

const STORAGE_KEY = "theme";
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function storedTheme(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null; // The browser allows no storage.
  }
}

/** The current theme. */
export function theme(): Theme {
  const choice = storedTheme();
  if (choice === "light" || choice === "dark") return choice;
  return systemIsDark.matches ? "dark" : "light";
}

function apply(): void {
  document.documentElement.dataset.theme = theme();
  for (const listener of listeners) listener();
}

/** Switches to the other theme. */
export function toggleTheme(): void {
  try {
    localStorage.setItem(STORAGE_KEY, theme() === "dark" ? "light" : "dark");
  } catch {
    // Without storage, the choice cannot be kept.
  }
  apply();
}

/** Calls `listener` whenever the theme changes, until `signal` aborts. */
export function onTheme(listener: () => void, signal: AbortSignal): void {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** The value that a color of the style sheet, such as `--accent`, has in the current theme. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Colors of the series of a chart, distinct for color-blind readers too (after Okabe and Ito). */
export function seriesColors(): string[] {
  return [1, 2, 3, 4, 5, 6, 7].map((position) => color(`--series-${position}`));
}

export function startTheme(): void {
  systemIsDark.addEventListener("change", apply);
  apply();
}
