// What happens on the server, as it happens: one stream for the whole document, opened anew when it breaks.

export type Kind = "run" | "progress" | "log";
type Listener = (data: unknown) => void;

const listeners: Record<Kind, Set<Listener>> = { run: new Set(), progress: new Set(), log: new Set() };
const back = new Set<() => void>();
let source: EventSource | null = null;
let isGone = false;
let retry = 0;
/** Whether something may have happened that was not heard, since nobody looked. */
let hasMissed = false;

function say(gone: boolean): void {
  if (gone !== isGone) window.dispatchEvent(new CustomEvent(gone ? "server-lost" : "server-back"));
  // What happened meanwhile was not told: whoever listens reads anew.
  if (!gone && (isGone || hasMissed)) for (const listener of back) listener();
  isGone = gone;
  if (!gone) hasMissed = false;
}

function open(): void {
  source?.close();
  const mine = new EventSource("/api/events");
  source = mine;
  mine.addEventListener("open", () => {
    retry = 0;
    say(false);
  });
  // The first tells all as it is, which was just read; a further one, that some was not heard.
  let isFirst = true;
  mine.addEventListener("snapshot", () => {
    if (!isFirst) for (const listener of back) listener();
    isFirst = false;
  });
  mine.addEventListener("error", () => {
    if (mine !== source || document.hidden) return;
    say(true);
    // The browser gives up on a stream that was refused; this does not.
    if (mine.readyState !== EventSource.CLOSED) return;
    retry = Math.min(retry + 1, 5);
    setTimeout(() => {
      if (mine === source && !document.hidden) open();
    }, 1000 * retry);
  });
  for (const kind of Object.keys(listeners) as Kind[]) {
    mine.addEventListener(kind, (event) => {
      let data: unknown;
      try {
        data = JSON.parse((event as MessageEvent<string>).data);
      } catch {
        return;
      }
      for (const listener of listeners[kind]) listener(data);
    });
  }
}

/** Calls `listener` with each event of a kind until `signal` ends. */
export function listen<T>(kind: Kind, listener: (data: T) => void, signal: AbortSignal): void {
  const heard = listener as Listener;
  listeners[kind].add(heard);
  signal.addEventListener("abort", () => listeners[kind].delete(heard));
}

/** Calls `listener` when the server answers again after it did not, until `signal` ends. */
export function onBack(listener: () => void, signal: AbortSignal): void {
  back.add(listener);
  signal.addEventListener("abort", () => back.delete(listener));
}

export function startEvents(): void {
  open();
  window.addEventListener("server-gone", () => say(true));
  // A page that nobody looks at holds no connection: a browser has six for all of a server's pages.
  document.addEventListener("visibilitychange", () => {
    hasMissed = true;
    if (document.hidden) source?.close();
    else open();
  });
  window.addEventListener("pagehide", () => source?.close());
}
