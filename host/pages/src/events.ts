// The server's events: one connection for the whole document, which reconnects after it breaks.
import { get } from "./api.ts";

export type EventKind = "run" | "progress" | "log";
type Listener = (data: unknown) => void;

const listeners: Record<EventKind, Set<Listener>> = { run: new Set(), progress: new Set(), log: new Set() };
const reconnectListeners = new Set<() => void>();
let source: EventSource | null = null;
let isLost = false;
let attempts = 0;
/** Events may be missing, because the page was hidden and had no connection. */
let mayHaveMissed = false;

/** Notes whether the server responds; after a gap the reconnect listeners read their data again. */
function setLost(lost: boolean): void {
  if (lost !== isLost) window.dispatchEvent(new CustomEvent(lost ? "connection-lost" : "connection-restored"));
  if (!lost && (isLost || mayHaveMissed)) for (const listener of reconnectListeners) listener();
  isLost = lost;
  if (!lost) mayHaveMissed = false;
}

function connect(): void {
  source?.close();
  const opened = new EventSource("/api/events");
  source = opened;
  opened.addEventListener("open", () => {
    attempts = 0;
    setLost(false);
  });
  // The first snapshot adds nothing to what the page just read. A later one means that events were dropped.
  let isFirst = true;
  opened.addEventListener("snapshot", () => {
    if (!isFirst) for (const listener of reconnectListeners) listener();
    isFirst = false;
  });
  opened.addEventListener("error", () => {
    if (opened !== source || document.hidden) return;
    setLost(true);
    // The browser does not retry a connection that was refused.
    if (opened.readyState !== EventSource.CLOSED) return;
    attempts = Math.min(attempts + 1, 5);
    // An event source does not say why it was refused. This request shows it on the page.
    get("/api/pipelines").catch(() => {});
    setTimeout(() => {
      if (opened === source && !document.hidden) connect();
    }, 1000 * attempts);
  });
  for (const kind of Object.keys(listeners) as EventKind[]) {
    opened.addEventListener(kind, (event) => {
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

/** Calls `listener` with each event of `kind` until `signal` aborts. */
export function listen<T>(kind: EventKind, listener: (data: T) => void, signal: AbortSignal): void {
  const untyped = listener as Listener;
  listeners[kind].add(untyped);
  signal.addEventListener("abort", () => listeners[kind].delete(untyped));
}

/** Calls `listener` after a gap in the events until `signal` aborts. */
export function onReconnect(listener: () => void, signal: AbortSignal): void {
  reconnectListeners.add(listener);
  signal.addEventListener("abort", () => reconnectListeners.delete(listener));
}

export function startEvents(): void {
  connect();
  window.addEventListener("server-unreachable", () => setLost(true));
  // A hidden page closes its connection: a browser allows six for all pages of a server.
  document.addEventListener("visibilitychange", () => {
    mayHaveMissed = true;
    if (document.hidden) source?.close();
    else connect();
  });
  window.addEventListener("pagehide", () => source?.close());
}
