/**
 * A home of AECL for tests, the real program in front of it, and people who answer.
 *
 * Nothing stands in for the server. Faults are those of real processes and connections: a server that is killed, a
 * worker that is killed, a relay that drops an answer or changes it.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { after } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Client } from "../src/index.js";
import type { Run } from "../src/index.js";
import { AGENT, GOAL, WORLD, actions, manifest } from "./shop.js";

export { AGENT, GOAL } from "./shop.js";

/** The program. */
export const BIN = process.env["AECL_BIN"] ?? assert.fail("AECL_BIN has to name the program");
/** The library, for scripts of other processes. */
export const LIBRARY = fileURLToPath(new URL("../src/index.js", import.meta.url));
/** The repository. */
export const ROOT = process.env["AECL_ROOT"] ?? assert.fail("AECL_ROOT has to name the checkout");

// What whoever runs the tests has set is not for the tests.
for (const name of ["AECL_URL", "AECL_TOKEN", "AECL_RUN", "AECL_DIR", "AECL_KEY"]) delete process.env[name];

/** What the tests of a file need to end, the latest first. */
const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

/** Something that is ended with the tests of the file. */
export function ending(end: () => unknown): void {
  ends.push(end);
}

/** A folder of its own. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "aecl-ts-"));
  ending(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/**
 * A user with an empty home directory, in a project of theirs, which is the directory of this process from now on.
 * Servers that are started there end with the tests.
 */
export function bare(): string {
  const own = folder();
  const project = join(own, "project");
  mkdirSync(project);
  process.env["HOME"] = join(own, "user");
  delete process.env["XDG_DATA_HOME"];
  process.chdir(project);
  ending(async () => {
    process.chdir(tmpdir());
    const homes = join(own, "user/.local/share/aecl");
    for (const home of existsSync(homes) ? readdirSync(homes) : [])
      await endsElsewhere(Number(servedBy(join(homes, home))));
  });
  return project;
}

/** Process that serves a home, by its lock. */
export function servedBy(home: string): string {
  const lock = join(home, "data/lock");
  return existsSync(lock) ? readFileSync(lock, "utf8").trim() : "";
}

/** Ends a process that is no child of this one. */
export async function endsElsewhere(pid: number, how: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (!(pid > 0)) return;
  try {
    for (process.kill(pid, how); ; process.kill(pid, 0)) await pause(10);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
  }
}

/** Output of a command of AECL. */
export function aecl(...words: string[]): string {
  const said = spawnSync(BIN, words, { encoding: "utf8", timeout: 60_000 });
  assert.equal(said.status, 0, said.stderr);
  return said.stdout;
}

type Body = Record<string, unknown>;
/** Answer of the API, of which a test takes what it wants to see. */
type Shown = any;

/** Home with a policy for a shop, and its server. */
export class House {
  key = "";
  operator = "";
  #listen = "127.0.0.1:0";
  #process: ChildProcess | undefined;

  private constructor(readonly home: string) {}

  /** A home of its own, served until the tests of the file have ended. */
  static async started(budget = "1000000.00", more: readonly Record<string, unknown>[] = []): Promise<House> {
    const home = join(folder(), "home");
    const run = (...words: string[]): string => aecl("--dir", home, ...words);
    run("init", "--agent", AGENT, "--example", "none", "--origin", "shop.example/aecl");
    const config = join(home, "aecl.yaml");
    writeFileSync(config, readFileSync(config, "utf8").replace("environment: production", "environment: test"));
    unlinkSync(join(home, "policy/agents", `${AGENT}.yaml`));
    mkdirSync(join(home, "policy/actions"), { recursive: true });
    mkdirSync(join(home, "world"));
    const database = join(home, "world/shop.db");
    const catalogue = [...actions(database), ...more];
    const names = catalogue.map((action) => String(action["name"]));
    writeFileSync(join(home, "policy/agents", `${AGENT}.json`), JSON.stringify(manifest(names, budget)));
    writeFileSync(join(home, "policy/actions/shop.json"), JSON.stringify(catalogue));
    const made = spawnSync("sqlite3", [database], { input: WORLD, encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const house = new House(home);
    house.key = run("keys", "add", "orchestrator", "tests", "--agent", AGENT).trim();
    house.operator = readFileSync(join(home, "keys/operator.key"), "utf8").trim();
    await house.start();
    ending(() => house.#end("SIGTERM"));
    return house;
  }

  get url(): string {
    return `http://${this.#listen}`;
  }

  /** Starts the server, at the same address as before. */
  async start(): Promise<void> {
    const log = join(this.home, "serve.log");
    const words = ["--dir", this.home, "serve", "--json", "--listen", this.#listen];
    const process = spawn(BIN, words, { stdio: ["ignore", "pipe", openSync(log, "a")] });
    this.#process = process;
    const said = await nextLine(process);
    assert.ok(said !== undefined, readFileSync(log, "utf8"));
    this.#listen = (JSON.parse(said) as { listen: string }).listen;
  }

  /** Ends the server as a crash would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Kills the server and starts another one at the same address, while this process sees and hears nothing. */
  replaced(): void {
    const killed = this.#process?.pid ?? 0;
    spawnSync("kill", ["-9", String(killed)]);
    aecl("--dir", this.home, "serve", "--background", "--listen", this.#listen);
    ending(() => endsElsewhere(Number(servedBy(this.home))));
  }

  async #end(how: NodeJS.Signals): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process !== undefined) await ended(process, how);
  }

  /** Client with the key of an orchestrator. */
  client(url = this.url): Client {
    const made = new Client({ url, token: this.key });
    ending(() => made.close());
    return made;
  }

  /** Run of the shop's agent, which is closed with the tests. */
  async run(url = this.url): Promise<Run> {
    return await this.client(url).openRun({ agent: AGENT, goal: GOAL });
  }

  /** Request with the operator's key. */
  async people(method: string, path: string, body?: Body): Promise<Shown> {
    const headers = { authorization: `Bearer ${this.operator}`, "content-type": "application/json" };
    const reply = await fetch(this.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    const said = await reply.text();
    assert.ok(reply.ok, said);
    return said === "" ? {} : JSON.parse(said);
  }

  /** A person agrees; what has to be typed with a yes is typed. */
  async yes(approval: string): Promise<void> {
    const shown = await this.people("GET", `/v1/approvals/${approval}`);
    const confirm = (shown.confirm ?? []).map((one: { at: string }) =>
      String(shown.arguments[one.at.slice(1)]).slice(-4),
    );
    const body = { reason: "seen", ...(confirm.length > 0 ? { confirm } : {}) };
    await this.people("POST", `/v1/approvals/${approval}/approve`, body);
  }

  /** A person refuses. */
  async no(approval: string, reason: string): Promise<void> {
    await this.people("POST", `/v1/approvals/${approval}/reject`, { reason });
  }

  /** What is on record about an action. */
  async action(action: string): Promise<Shown> {
    return await this.people("GET", `/v1/actions/${action}`);
  }

  /** Entries of this kind in a run, in order. */
  async entries(run: string, kind: string): Promise<Shown[]> {
    const found = await this.people("GET", `/v1/ledger/runs/${run}/entries`);
    return found.entries.filter((entry: { kind: string }) => entry.kind === kind);
  }

  /** The action of a run that was concluded last. */
  async last(run: string): Promise<Shown> {
    return await this.action((await this.entries(run, "concluded")).at(-1).action);
  }
}

/** Relay in front of a server that can fail as networks fail: it drops an answer, or a request, or changes one. */
export class Relay {
  dropAnswer: (path: string) => boolean = () => false;
  dropRequest: (path: string, body: string) => boolean = () => false;
  change: (path: string, status: number, body: string) => { status: number; body: string; kind?: string } = (
    _,
    status,
    body,
  ) => ({
    status,
    body,
  });
  readonly seen: { path: string; body: string }[] = [];
  url = "";

  private constructor(private readonly house: House) {}

  static async before(house: House): Promise<Relay> {
    const relay = new Relay(house);
    const server = http.createServer((asked, answer) => void relay.#pass(asked, answer));
    await once(server.listen(0, "127.0.0.1"), "listening");
    relay.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    ending(() => {
      server.closeAllConnections();
      server.close();
    });
    return relay;
  }

  async #pass(asked: http.IncomingMessage, answer: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const path = asked.url ?? "";
    const body = Buffer.concat(chunks);
    this.seen.push({ path, body: body.toString() });
    if (this.dropRequest(path, body.toString())) return void asked.socket.destroy();
    const { authorization, "content-type": kind } = asked.headers;
    const headers = { ...(authorization ? { authorization } : {}), ...(kind ? { "content-type": kind } : {}) };
    const method = asked.method ?? "GET";
    const reply = await fetch(this.house.url + path, { method, headers, ...(body.length > 0 ? { body } : {}) });
    if (path.endsWith("/connect") && reply.body !== null) {
      // It has no end.
      answer.writeHead(reply.status, { "content-type": reply.headers.get("content-type") ?? "" });
      return void Readable.fromWeb(reply.body as never).on("error", () => answer.destroy()).pipe(answer);
    }
    const said = await reply.text();
    if (this.dropAnswer(path)) return void asked.socket.destroy();
    const changed = this.change(path, reply.status, said);
    const was = reply.headers.get("content-type") ?? "";
    answer.writeHead(changed.status, { "content-type": changed.kind ?? was }).end(changed.body);
  }
}

/** Process of its own that runs a script, in which `aecl` is the library and `work` its workers. It is dead when the tests have ended. */
export function worker(
  script: string,
  environment: Record<string, string> = {},
  stderr: "inherit" | "ignore" = "inherit",
): ChildProcess {
  const modules = `import * as aecl from ${JSON.stringify(LIBRARY)};
    import * as work from ${JSON.stringify(LIBRARY.replace("index.js", "worker.js"))};`;
  const source = `${modules}\n${script}`;
  const process_ = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["pipe", "pipe", stderr],
    env: { ...process.env, ...environment },
  });
  ending(() => ended(process_, "SIGKILL"));
  return process_;
}

/** Next line of a process, or nothing if it says no more. */
export async function nextLine(process: ChildProcess): Promise<string | undefined> {
  assert.ok(process.stdout);
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const next = await lines.next();
  return next.done === true ? undefined : next.value;
}

/** Lines of a process, as they come. */
export function lines(process: ChildProcess): () => Promise<string | undefined> {
  assert.ok(process.stdout);
  const found = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  return async () => {
    const next = await found.next();
    return next.done === true ? undefined : next.value;
  };
}

/** Sends a signal and waits for the end of a process; gives its status. */
export async function ended(process: ChildProcess, how?: NodeJS.Signals): Promise<number | null> {
  if (process.exitCode !== null || process.signalCode !== null) return process.exitCode;
  const over = once(process, "exit");
  if (how !== undefined) process.kill(how);
  await over;
  return process.exitCode;
}

/** Something that is to happen once, and can be waited for. */
export class Latch {
  readonly opened: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => (this.open = resolve));
  }
}

/** Error of the kind that a call is refused with. */
export async function refused<E extends Error>(kind: new (...given: never[]) => E, call: () => unknown): Promise<E> {
  try {
    await call();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `it was not refused as ${kind.name}` });
}
