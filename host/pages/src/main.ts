// Starts the pages: theme, header, events, and the page of the address.
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/dashboard.css";
import "./styles/operate.css";
import { ApiError } from "./api.ts";
import { startEvents } from "./events.ts";
import { type Route, startRouter } from "./router.ts";
import { onArrival, startShell } from "./shell.ts";
import { startTheme } from "./theme.ts";

/** Loads the script of a page. An updated server no longer has the old script: then the document is reloaded. */
async function load<T>(script: Promise<T>): Promise<T> {
  try {
    return await script;
  } catch (error) {
    const response = await fetch("/").catch(() => null);
    if (!response?.ok) throw new ApiError(0, "unreachable", String(error));
    location.reload();
    return new Promise(() => {});
  }
}

const ROUTES: Route[] = [
  ["/", async (visit) => (await load(import("./dashboard/page.ts"))).dashboard(visit)],
  ["/pipelines", async (visit) => (await load(import("./operate/pipelines.ts"))).pipelines(visit)],
  ["/pipelines/:name", async (visit) => (await load(import("./operate/pipeline.ts"))).pipeline(visit)],
  ["/runs/:id", async (visit) => (await load(import("./operate/run.ts"))).run(visit)],
  ["/models", async (visit) => (await load(import("./browse/models.ts"))).models(visit)],
  ["/changes", async (visit) => (await load(import("./browse/changes.ts"))).changes(visit)],
  ["/rejects", async (visit) => (await load(import("./browse/rejects.ts"))).rejects(visit)],
  ["/plugins", async (visit) => (await load(import("./browse/plugins.ts"))).plugins(visit)],
];

startTheme();
const main = startShell();
startEvents();
startRouter(main, ROUTES, onArrival);
