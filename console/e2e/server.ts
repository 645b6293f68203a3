/** Starts the real server on free ports with temporary folders, once with data and once empty. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestProject } from "vitest/node";
import { type Seeded, seed } from "./seed";

declare module "vitest" {
  export interface ProvidedContext {
    base: string;
    empty: string;
    locked: string;
    key: string;
    seeded: Seeded;
  }
}

const root = resolve(import.meta.dirname, "../..");

function binary(): string {
  const candidates = [
    process.env.MAINSPRING_BIN,
    join(root, "target/release/mainspring"),
    join(root, "target/debug/mainspring"),
  ].filter((p): p is string => p !== undefined && p !== "");
  const found = candidates.find((path) => existsSync(path));
  if (!found) throw new Error(`no server binary: set MAINSPRING_BIN (looked at ${candidates.join(", ")})`);
  return found;
}

interface Server {
  base: string;
  stop: () => Promise<void>;
}

async function start(folder: string, more: string[], host = "127.0.0.1"): Promise<Server> {
  const portFile = join(folder, "port");
  const args = [
    "up",
    "--port",
    "0",
    "--port-file",
    portFile,
    "--data",
    join(folder, "data"),
    "--log-level",
    "warn",
    ...more,
  ];
  // The library of ONNX Runtime is looked for from the working folder.
  const child: ChildProcess = spawn(binary(), args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const ended = new Promise<void>((done) => child.on("exit", () => done()));
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output}`);
    const port = existsSync(portFile) ? readFileSync(portFile, "utf8").trim() : "";
    if (port !== "") {
      const base = `http://${host}:${port}`;
      const ready = await fetch(`${base}/readyz`).catch(() => undefined);
      if (ready?.ok) {
        return {
          base,
          stop: async () => {
            child.kill("SIGTERM");
            await ended;
          },
        };
      }
    }
    await new Promise((wait) => setTimeout(wait, 50));
  }
  child.kill("SIGKILL");
  throw new Error(`the server was not ready after two minutes:\n${output}`);
}

export default async function setup(project: TestProject) {
  const folders = [0, 1, 2].map(() => mkdtempSync(join(tmpdir(), "mainspring-console-")));
  const [full = "", empty = "", locked = ""] = folders;
  const servers: Server[] = [];
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  };
  try {
    const withData = await start(full, []);
    servers.push(withData);
    const withoutData = await start(empty, []);
    servers.push(withoutData);
    // A key made before the server listens beyond loopback; then it asks everybody for one.
    const made = spawnSync(
      binary(),
      [
        "key",
        "create",
        "console",
        "--role",
        "admin",
        "--offline",
        "--data",
        join(locked, "data"),
        "--output",
        "json",
      ],
      { cwd: root, encoding: "utf8" },
    );
    const key = /msk_[A-Za-z0-9_-]+/.exec(made.stdout)?.[0];
    if (!key) throw new Error(`no key was made: ${made.stdout}${made.stderr}`);
    const guarded = await start(locked, ["--host", "0.0.0.0"], "127.0.0.1");
    servers.push(guarded);
    project.provide("base", withData.base);
    project.provide("empty", withoutData.base);
    project.provide("locked", guarded.base);
    project.provide("key", key);
    project.provide("seeded", await seed(withData.base));
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
