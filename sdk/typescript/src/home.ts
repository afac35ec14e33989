/**
 * The program `aecl` on this machine, and the server of a home, which is started if nobody serves it.
 *
 * One process serves a home; it is found by the socket in the home, which only its owner may open. Whoever comes by the
 * socket opens runs without a key. A server that was started here ends by itself once nobody is connected and nothing
 * waits for people, so a question outlives the process that asked it.
 */

import { execFile } from "node:child_process";
import { access, constants, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { Unavailable } from "./errors.js";
import { nowS } from "./state.js";

/** How long a server may take until it listens, in seconds. */
const START_S = 30;
/** Seconds without connections, open requests and work after which a server that was started here ends. */
const IDLE_EXIT_S = 600;
/** How long a program may take to begin, in seconds. */
const PROGRAM_S = 30;
/** The package that brings the program for this kind of machine. npm installs it along with this one, where there is one. */
export const PACKAGE = `@aecl/${process.platform}-${process.arch}`;

/** Where that package has the program, if it is here. */
export function packaged(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)), "bin", "aecl");
  } catch {
    return undefined;
  }
}

/** The program: `AECL_BIN`, the one that came along for this kind of machine, or the first on `PATH`. */
export async function program(beside: string | undefined = packaged()): Promise<string> {
  const named = process.env["AECL_BIN"];
  if (named) {
    if (!(await runs(named))) throw missing(`\`AECL_BIN\` names \`${named}\`, which is no program`);
    return named;
  }
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const path of [...(beside === undefined ? [] : [beside]), ...folders.map((folder) => join(folder, "aecl"))]) {
    if (await runs(path)) return path;
  }
  throw missing(`there is no program \`aecl\`: not by \`AECL_BIN\`, not as the package \`${PACKAGE}\`, not on \`PATH\``);
}

async function runs(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function missing(why: string): Unavailable {
  const hint = "install aecl, or set AECL_URL and AECL_TOKEN to use a server that runs elsewhere";
  return new Unavailable("binary_missing", why, { hint, sent: false });
}

/** Socket of the server of a home, which is started if nobody serves it. */
export async function serving(directory: string | undefined): Promise<string> {
  const binary = await program();
  const home = await homeOf(binary, directory);
  const path = join(home, "data", "aecl.sock");
  if (await answers(path)) return path;
  const words = ["--dir", home, "serve", "--background", "--idle-exit", String(IDLE_EXIT_S)];
  // A server needs nobody's key.
  const { AECL_KEY: _key, AECL_TOKEN: _token, ...environment } = process.env;
  const said = await run(binary, words, environment);
  const until = nowS() + START_S;
  // Another one may have been faster: then ours has failed, and whoever has the home will listen.
  while (!(await answers(path)) && (said.status === 0 || (await isHeld(home))) && nowS() < until) await pause(20);
  if (await answers(path)) return path;
  const why = `\`aecl serve\` did not start in \`${home}\`: ${said.stderr.trim().slice(-1500)}`;
  throw new Unavailable("server_unreachable", why, {
    hint: "`aecl serve` in the foreground shows the same",
    sent: false,
  });
}

/** Whether a process that lives says that the home is its own. */
async function isHeld(home: string): Promise<boolean> {
  try {
    process.kill(Number.parseInt(await readFile(join(home, "data", "lock"), "utf8"), 10), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function homeOf(binary: string, directory: string | undefined): Promise<string> {
  const named = directory === undefined ? [] : ["--dir", directory];
  const said = await run(binary, [...named, "home", "--json"], process.env);
  let why = said.stderr.trim().slice(-500) || "`aecl home` says nothing";
  try {
    const of = JSON.parse(said.stdout) as { dir?: unknown; error?: { message?: unknown } };
    if (said.status === 0 && typeof of.dir === "string") return of.dir;
    if (typeof of.error?.message === "string") why = of.error.message;
  } catch {
    // It has said it in words.
  }
  throw new Unavailable("home_missing", why, {
    hint: "`aecl init` makes one; `directory` or AECL_DIR names another",
    sent: false,
  });
}

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(binary: string, words: string[], env: NodeJS.ProcessEnv): Promise<Said> {
  return new Promise((resolve, reject) => {
    const options = { env, timeout: (START_S + PROGRAM_S) * 1000, killSignal: "SIGKILL" } as const;
    const child = execFile(binary, words, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ status: 0, stdout, stderr });
      if (typeof error.code === "number") return resolve({ status: error.code, stdout, stderr });
      reject(missing(`\`${binary}\` cannot be started: ${error.message}`));
    });
    child.stdin?.end();
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const one = connect(path);
    const end = (found: boolean): void => {
      one.destroy();
      resolve(found);
    };
    one.setTimeout(5000, () => end(false));
    one.once("connect", () => end(true));
    one.once("error", () => end(false));
  });
}
