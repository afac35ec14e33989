/** What all adapters for frameworks do: a call is put to AECL, waits for its framework, and is reported. Not part of the API. */

import { isDeepStrictEqual } from "node:util";

import { current } from "./current.js";
import { AeclError, AlreadyDone, Invalid, NotDone, Unauthorized } from "./errors.js";
import type { Pending } from "./errors.js";
import { doneWith, endedWith } from "./permit.js";
import type { Permit } from "./permit.js";
import type { Run } from "./run.js";

/** How long a permit is kept for the framework to execute the tool, in milliseconds. The server counts a minute. */
const KEPT_MS = 45_000;

export type Input = Record<string, unknown>;

/** Options of the adapters. */
export interface GuardedOptions {
  /** The run to act in; left out, that of the innermost `openRun(…, function)`. */
  readonly run?: Run;
  /** Tools that AECL carries out by its own connectors. Their functions here are never called. */
  readonly execute?: readonly string[];
  /** Names in the catalogue, where they are not those of the tools. */
  readonly actions?: Readonly<Record<string, string>>;
  /** Is told of each request that waits: for a program that shows it, or keeps its address. */
  readonly onPending?: (held: Pending) => void;
}

/** Where calls go: the run, and what it calls a tool. */
export class Door {
  readonly #options: GuardedOptions;

  constructor(options: GuardedOptions) {
    this.#options = options;
  }

  run(tool: string): Run {
    const run = this.#options.run ?? current.getStore();
    if (run !== undefined) return run;
    throw new Invalid("no_run", `\`${tool}\` was called outside of a run`, {
      hint: "give `guarded(…, { run })` its run, or call the model inside of `openRun(…, async (run) => { … })`",
    });
  }

  executes(tool: string): boolean {
    return this.#options.execute?.includes(tool) === true;
  }

  action(tool: string): string {
    return (Object.hasOwn(this.#options.actions ?? {}, tool) ? this.#options.actions?.[tool] : undefined) ?? tool;
  }

  held(held: Pending): void {
    this.#options.onPending?.(held);
  }
}

/** A call that was put to AECL. With a permit, it waits for its framework to execute the tool. */
export class Call {
  readonly #door: Door;
  readonly #name: string;
  readonly #id: string;
  readonly #answer: Promise<Permit | { output: unknown }>;
  #kept: NodeJS.Timeout | undefined;

  constructor(door: Door, name: string, input: unknown, id: string) {
    [this.#door, this.#name, this.#id] = [door, name, id];
    this.#answer = this.#ask(input);
    this.#answer.catch(() => {});
  }

  async #ask(input: unknown): Promise<Permit | { output: unknown }> {
    const [run, action] = [this.#door.run(this.#name), this.#door.action(this.#name)];
    if (this.#id === "") {
      throw new Invalid("request_invalid", "the framework gives no id of the call, and it could not be done only once");
    }
    if (this.#door.executes(this.#name)) return await run.execute(action, input as Input, { callId: this.#id });
    try {
      const permit = await run.action(action, input as Input, { callId: this.#id });
      if (!isDeepStrictEqual(permit.arguments, input)) {
        const words = `the input of \`${this.#name}\` has something that JSON has no form for`;
        await permit.end({ outcome: "failed", code: "arguments_unfit", words });
        throw new Invalid("arguments_unfit", words);
      }
      this.#kept = setTimeout(() => {
        const words = "the framework did not execute the tool";
        permit.end({ outcome: "failed", code: "not_executed", words }).catch(() => {});
      }, KEPT_MS).unref();
      return permit;
    } catch (error) {
      if (error instanceof AlreadyDone) return { output: error.output };
      throw error;
    }
  }

  async settled(): Promise<void> {
    await this.#answer;
  }

  /** The arguments, while the permit counts. One that has run out was not used. */
  async #lives(permit: Permit): Promise<Input> {
    try {
      return permit.arguments;
    } catch (error) {
      await permit.end(endedWith(error, "failed"));
      throw error;
    }
  }

  /**
   * Calls the tool, where there is a permit, and gives what came of it; what is on record already is given as `output`.
   * `said`: what is recorded of a value, where that is not the value.
   */
  async act<T>(
    tool: (judged: Input) => T | Promise<T>,
    said?: (value: T) => unknown,
  ): Promise<{ value: T } | { output: unknown }> {
    const got = await this.#answer;
    if (!("done" in got)) return got;
    clearTimeout(this.#kept);
    const judged = await this.#lives(got);
    let value: T;
    try {
      value = await tool(judged);
      if (typeof value === "object" && value !== null && Symbol.asyncIterator in value) {
        throw new NotDone(`\`${this.#name}\` gave back a stream, which has not begun; guard what acts`);
      }
    } catch (error) {
      await got.end(endedWith(error, error instanceof NotDone ? "failed" : "unknown"));
      throw error;
    }
    await got.end(doneWith(value, said as ((output: never) => unknown) | undefined));
    return { value };
  }
}

/** What the model is told. What only the program around it can put right is thrown instead. */
export function told(error: unknown): string {
  if (!(error instanceof AeclError) || error instanceof Unauthorized || error.code === "no_run") throw error;
  return error.forModel;
}

/** What a tool gives back, now or by the record. */
export function valueOf<T>(came: { value: T } | { output: unknown }): T | unknown {
  return "value" in came ? came.value : came.output;
}

/** Refuses a function that streams: calling it does nothing yet, so its call cannot be guarded. */
export function withoutStreams(name: string, execute: unknown): void {
  if (/Generator/.test(Object.prototype.toString.call(execute))) {
    throw new TypeError(`\`${name}\` streams: calling it does nothing yet, so its call cannot be guarded`);
  }
}
