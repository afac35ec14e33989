/** Leave to act by hand, and what is said of an attempt. */

import { Unavailable } from "./errors.js";
import { UNRECORDED } from "./flow.js";
import type { Outcome, Report } from "./flow.js";
import { recordable } from "./json.js";
import type { Leave } from "./state.js";

/** Report of something that was done, with what came out or why that is not on record. */
export function doneWith(output: unknown, encode?: (output: never) => unknown): Report {
  if (output === undefined) return { outcome: "done" };
  try {
    const plain = encode === undefined ? output : encode(output as never);
    return plain === undefined ? { outcome: "done" } : { outcome: "done", output: recordable(plain) };
  } catch (error) {
    // It was done. Whatever is wrong with what came out must not look as if it was not.
    return { outcome: "done", code: UNRECORDED, words: `the output could not be recorded: ${inWords(error).words}` };
  }
}

/** Report of an attempt that ended with an error. */
export function endedWith(error: unknown, outcome: Outcome): Report {
  return { outcome, ...inWords(error) };
}

function inWords(error: unknown): { code: string; words: string } {
  const name: unknown = error instanceof Error ? error.name : typeof error;
  const code = typeof name === "string" && /^[\w.$-]{1,64}$/.test(name) ? name : "Error";
  let words = "something that cannot be printed";
  try {
    words = error instanceof Error ? `${code}: ${error.message}` : String(error);
  } catch {
    // Then it stays that.
  }
  return { code, words };
}

/**
 * Leave to act by hand, once, with exactly `arguments`. Say what came of it, then let it go: `await using`, or the end
 * of the function that `run.action` calls. Who says nothing has ended as unknown.
 */
export class Permit implements AsyncDisposable {
  readonly #leave: Leave;
  readonly #report: (said: Report) => Promise<void>;
  #said: Report | undefined;
  #over = false;

  /** @internal */
  constructor(leave: Leave, report: (said: Report) => Promise<void>) {
    this.#leave = leave;
    this.#report = report;
  }

  /** Action on record (`act_…`). */
  get action(): string {
    return this.#leave.action;
  }

  /** Arguments that were judged, anew at each time. Throws `Unavailable` once the permit has run out. */
  get arguments(): Record<string, unknown> {
    this.#lives();
    this.#leave.check();
    return this.#leave.judged.read();
  }

  /** Says that it happened, and what came out. */
  done(output?: unknown): void {
    this.#say(doneWith(output));
  }

  /** Says that it surely did not happen. */
  failed(why: string, code = "failed"): void {
    this.#say({ outcome: "failed", code, words: why });
  }

  /** Says that nobody knows whether it happened. */
  unknown(why: string): void {
    this.#say({ outcome: "unknown", code: "unknown", words: why });
  }

  /** Says what nobody has said, and reports it. @internal */
  async end(otherwise: Report): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#report(this.#said ?? otherwise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end(NOTHING_SAID);
  }

  #say(said: Report): void {
    this.#lives();
    this.#said = said;
  }

  #lives(): void {
    if (!this.#over) return;
    throw new Unavailable("permit_late", `the permit for \`${this.#leave.name}\` was reported on already`);
  }
}

/** Report of a permit whose scope ended without a word. */
export const NOTHING_SAID: Report = {
  outcome: "unknown",
  code: "nothing_said",
  words: "the scope of the permit ended and did not say what came of it",
};
