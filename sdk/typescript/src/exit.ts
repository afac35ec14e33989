/**
 * Permits of this process that nobody has reported on. At its end they are reported as unknown.
 *
 * A process that ends can wait for nothing, so a child says it, and the end is held up until it has. A process that is
 * killed reports nothing; the server then says the same 90 s after the permit (`no_report`).
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { limits } from "./state.js";
import type { State } from "./state.js";
import type { Place } from "./transport.js";

/** What the child is told, over its standard input: keys and tokens stand in no list of processes. */
export interface LastWords {
  readonly action: string;
  readonly at: Place;
  readonly run: string;
  readonly token: string;
}

const CHILD = fileURLToPath(new URL("./last-words.js", import.meta.url));
const open = new Map<string, { state: State; at: Place }>();
let listens = false;

/** Notes a permit that is about to be used. */
export function begun(action: string, state: State, at: Place): void {
  open.set(action, { state, at });
  if (listens) return;
  listens = true;
  process.on("exit", reportAll);
}

/** Strikes it out: its outcome is on record, or somebody was told that it is not. */
export function ended(action: string): void {
  open.delete(action);
}

function reportAll(): void {
  if (open.size === 0) return;
  const words = [...open].map(([action, { state, at }]): LastWords => ({
    action,
    at,
    run: state.run,
    token: state.token,
  }));
  open.clear();
  // What is loaded into every program of the user has no business here.
  const { NODE_OPTIONS: _options, ...env } = process.env;
  spawnSync(process.execPath, [CHILD], {
    input: JSON.stringify(words),
    env,
    stdio: ["pipe", "ignore", "inherit"],
    timeout: (limits.endS + 1) * 1000,
  });
}
