// Starts the real `host serve` beside the real sandbox, in a warehouse of its own, and stops it again.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export interface Server {
  url: string;
  stop: () => Promise<void>;
  /** What it has said so far. */
  said: () => string;
}

export interface ServerOptions {
  patients?: number;
  /** Milliseconds that each answer of the sandbox takes. */
  latency?: number;
  /** Whether a whole run is done before the pages are served. */
  isLoaded?: boolean;
  /** What the host's environment has beside the sandbox's. */
  environment?: Record<string, string>;
}

const root = resolve(import.meta.dirname, "../../..");

/** Runs a pipeline once if asked to, then serves it; ready when it has said its address. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const host = process.env.HOST_BIN;
  if (!host) throw new Error("HOST_BIN is not set: make test sets it to the host that was built");
  const folder = mkdtempSync(join(tmpdir(), "host-pages-"));
  const { patients = 400, latency = 0, isLoaded = true, environment = {} } = options;
  const assigned = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const load = isLoaded ? '"$0" --quiet run pipelines/hubspot.toml >&2 && ' : "";
  const script = `${load}exec env ${assigned.join(" ")} "$0" serve pipelines/hubspot.toml --port 0`;
  const child = spawn(
    join(dirname(host), "sandbox"),
    ["--patients", String(patients), "--latency", String(latency), "--rate-limit", "0", "--", "sh", "-c", script, host],
    // A group of its own, so that all of it can be stopped.
    { cwd: root, detached: true, env: { ...process.env, WAREHOUSE: join(folder, "warehouse.duckdb") } },
  );
  let said = "";
  const url = await new Promise<string>((found, failed) => {
    const late = setTimeout(() => failed(new Error(`host serve said no address within 120 s:\n${said}`)), 120_000);
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      // The sandbox says an address, too.
      const address = /http:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):\d+/.exec(said.replace(/^sandbox .*$/gm, ""))?.[0];
      if (!address) return;
      clearTimeout(late);
      found(address);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("exit", (code) => failed(new Error(`host serve ended with ${code}:\n${said}`)));
  });
  return {
    url,
    said: () => said,
    stop: async () => {
      await stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const group = -child.pid;
  const ended = new Promise((done) => {
    child.once("exit", done);
  });
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(group, name);
    } catch {
      // It is gone already.
    }
  };
  signal("SIGTERM");
  const forced = setTimeout(() => signal("SIGKILL"), 10_000);
  await ended;
  clearTimeout(forced);
}
