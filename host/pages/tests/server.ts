// Starts and stops a real `host serve` with a sandbox and a temporary warehouse.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export interface Server {
  /** The origin. */
  url: string;
  /** The address that opens the pages, with its token. */
  address: string;
  stop: () => Promise<void>;
  /** The output of both processes so far. */
  output: () => string;
}

export interface ServerOptions {
  patients?: number;
  /** Milliseconds before each response of the sandbox. */
  latency?: number;
  /** Whether the pipeline runs once before the server starts. */
  isLoaded?: boolean;
  /** Environment variables of the server, in addition to those that the sandbox sets. */
  environment?: Record<string, string>;
}

const root = resolve(import.meta.dirname, "../../..");

/** Starts a server for the example pipeline and waits until it prints its address. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const host = process.env.HOST_BIN;
  if (!host) throw new Error("HOST_BIN is not set: `make test` sets it to the path of the built host");
  const folder = mkdtempSync(join(tmpdir(), "host-pages-"));
  const { patients = 400, latency = 0, isLoaded = true, environment = {} } = options;
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const load = isLoaded ? '"$0" --quiet run pipelines/hubspot.toml >&2 && ' : "";
  const script = `${load}exec env ${assignments.join(" ")} "$0" serve pipelines/hubspot.toml --port 0`;
  const child = spawn(
    join(dirname(host), "sandbox"),
    ["--patients", String(patients), "--latency", String(latency), "--rate-limit", "0", "--", "sh", "-c", script, host],
    // A process group, so that `stop` ends all processes.
    { cwd: root, detached: true, env: { ...process.env, WAREHOUSE: join(folder, "warehouse.duckdb") } },
  );
  let output = "";
  const address = await new Promise<string>((found, failed) => {
    const timeout = setTimeout(
      () => failed(new Error(`host serve printed no address within 120 s:\n${output}`)),
      120_000,
    );
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      // The sandbox prints an address, too, on lines that start with its name.
      const lines = output.replace(/^sandbox .*$/gm, "");
      const printed = /http:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):\d+\/\?token=\S+(?=\s)/.exec(lines);
      if (!printed) return;
      clearTimeout(timeout);
      found(printed[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => failed(new Error(`host serve exited with code ${code}:\n${output}`)));
  });
  return {
    url: new URL(address).origin,
    address,
    output: () => output,
    stop: async () => {
      await stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const group = -child.pid;
  const exited = new Promise((done) => {
    child.once("exit", done);
  });
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(group, name);
    } catch {
      // The process has already exited.
    }
  };
  signal("SIGTERM");
  const killTimer = setTimeout(() => signal("SIGKILL"), 10_000);
  await exited;
  clearTimeout(killTimer);
}
