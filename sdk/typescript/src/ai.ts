/**
 * Vercel AI SDK: `generateText({ model, prompt, ...guarded({ transferFunds: tool({ … }) }, { run }) })`.
 *
 * Every tool call is asked about where the SDK asks whether it needs approval, and the tool is executed only with a
 * permit for exactly its arguments. What waits for people is the SDK's own approval request; when it is answered, in
 * whatever process, AECL is asked again. docs/guides/ai-sdk.md.
 */

import { isDeepStrictEqual } from "node:util";

import { current } from "./current.js";
import { AeclError, AlreadyDone, Invalid, NotDone, Pending, Unauthorized } from "./errors.js";
import { doneWith, endedWith } from "./permit.js";
import type { Permit } from "./permit.js";
import type { Run } from "./run.js";

/** How long a permit is kept for the SDK to execute the tool, in milliseconds. The server counts a minute. */
const KEPT_MS = 45_000;

type Input = Record<string, unknown>;
type Execute = (input: never, options: never) => unknown;

/** What the adapter has to know of a tool of the SDK. */
interface ToolLike {
  readonly execute?: Execute | undefined;
  readonly needsApproval?: boolean | ((input: never, options: never) => boolean | PromiseLike<boolean>) | undefined;
}

/** What the SDK says when it asks whether a call needs approval. */
interface Asked {
  readonly toolCall: {
    readonly toolName: string;
    readonly toolCallId: string;
    readonly input: unknown;
    readonly providerExecuted?: boolean | undefined;
  };
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
}

/** Answer to that. `undefined`: it goes on. */
type Status = { type: "denied"; reason: string } | { type: "user-approval"; reason: string } | undefined;

/** What `generateText`, `streamText` and `ToolLoopAgent` are given. */
export interface GuardedTools<T> {
  readonly tools: T;
  readonly toolApproval: (asked: Asked) => Promise<Status>;
}

/** Options of `guarded`. */
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

/**
 * The same tools, each of which is executed only with a permit of AECL. Spread it: tools that stand beside are denied.
 *
 * Tools without a function, which the provider or the browser executes, are a `TypeError` unless AECL carries them out.
 */
export function guarded<T extends Readonly<Record<string, ToolLike>>>(
  tools: T,
  options: GuardedOptions = {},
): GuardedTools<T> {
  const door = new Door(options);
  const own = new Map(Object.entries(tools).map(([name, tool]) => [name, new Guarded(name, tool, door)]));
  const entries = [...own].map(([name, one]) => [name, one.tool()]);
  return {
    tools: Object.fromEntries(entries) as T,
    toolApproval: async ({ toolCall, messages }) => {
      const one = toolCall.providerExecuted === true ? undefined : own.get(toolCall.toolName);
      if (one === undefined) return { type: "denied", reason: `\`${toolCall.toolName}\` is not guarded by AECL.` };
      return await one.status(toolCall.input, toolCall.toolCallId, messages);
    },
  };
}

class Door {
  readonly #options: GuardedOptions;

  constructor(options: GuardedOptions) {
    this.#options = options;
  }

  run(tool: string): Run {
    const run = this.#options.run ?? current.getStore();
    if (run !== undefined) return run;
    throw new Invalid("no_run", `\`${tool}\` was called outside of a run`, {
      hint: "give `guarded(tools, { run })` its run, or call the model inside of `openRun(…, async (run) => { … })`",
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

/** One tool. A call of it is put to AECL once, and what came of that is kept for its execution. */
class Guarded {
  readonly #name: string;
  readonly #tool: ToolLike;
  readonly #door: Door;
  readonly #asked = new Map<string, { readonly input: Input; readonly call: Call }>();

  constructor(name: string, tool: ToolLike, door: Door) {
    [this.#name, this.#tool, this.#door] = [name, tool, door];
    if (door.executes(name)) return;
    if (typeof tool.execute !== "function") {
      throw new TypeError(
        `\`${name}\` has no function here: it is executed by the provider or the browser, and cannot be guarded`,
      );
    }
    if (/Generator/.test(Object.prototype.toString.call(tool.execute))) {
      throw new TypeError(`\`${name}\` streams: calling it does nothing yet, so its call cannot be guarded`);
    }
  }

  /** The tool as the SDK gets it. */
  tool(): ToolLike {
    const execute = async (input: Input, how: { toolCallId: string }): Promise<unknown> => {
      const call = this.#taken(input, how.toolCallId) ?? new Call(this.#door, this.#name, input, how.toolCallId);
      return await call.act((judged) => (this.#tool.execute as (...given: unknown[]) => unknown)(judged, how));
    };
    // Its own question about approval is asked in ours.
    return { ...this.#tool, execute: execute as unknown as Execute, needsApproval: undefined };
  }

  async status(input: unknown, id: string, messages: Asked["messages"]): Promise<Status> {
    // With the request for it in the history, people have answered the SDK; it says that it is time to look again.
    const answered = messages.some(({ content }) => asksFor(content, id));
    if (!answered && (await this.#wants(input, id, messages))) return { type: "user-approval", reason: this.#name };
    try {
      const call = new Call(this.#door, this.#name, input, id);
      await call.settled();
      this.#asked.set(id, { input: input as Input, call });
      return undefined;
    } catch (error) {
      if (error instanceof Pending) {
        this.#door.held(error);
        // The SDK asks only once: it would take the second answer for a yes. So it ends here, and the same again goes on.
        if (answered) throw error;
        return { type: "user-approval", reason: error.card };
      }
      return { type: "denied", reason: told(error) };
    }
  }

  async #wants(input: unknown, id: string, messages: Asked["messages"]): Promise<boolean> {
    const own = this.#tool.needsApproval;
    if (typeof own !== "function") return own === true;
    return await (own as (...given: unknown[]) => boolean | PromiseLike<boolean>)(input, { toolCallId: id, messages });
  }

  #taken(input: Input, id: string): Call | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (asked === undefined || isDeepStrictEqual(asked.input, input)) return asked?.call;
    // Something in between has changed it: another question. The first permit is given back by itself.
    return undefined;
  }
}

/** A call that was put to AECL. With a permit, it waits for the SDK to execute the tool. */
class Call {
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
      throw new Invalid("request_invalid", "the SDK gives no id of the call, and it could not be done only once");
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
        const words = "the SDK did not execute the tool";
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

  async act(tool: (judged: Input) => unknown): Promise<unknown> {
    const got = await this.#answer;
    if (!("done" in got)) return got.output;
    clearTimeout(this.#kept);
    const judged = await this.#lives(got);
    let value: unknown;
    try {
      value = await tool(judged);
      if (typeof value === "object" && value !== null && Symbol.asyncIterator in value) {
        throw new NotDone(`\`${this.#name}\` gave back a stream, which has not begun; guard what acts`);
      }
    } catch (error) {
      await got.end(endedWith(error, error instanceof NotDone ? "failed" : "unknown"));
      throw error;
    }
    await got.end(doneWith(value));
    return value;
  }
}

/** Whether there is a request of the SDK for approval of this call in what a message holds. */
function asksFor(content: unknown, id: string): boolean {
  if (!Array.isArray(content)) return false;
  return content.some(
    (part: { type?: unknown; toolCallId?: unknown }) => part.type === "tool-approval-request" && part.toolCallId === id,
  );
}

/** What the model is told. What only the program around it can put right is thrown instead. */
function told(error: unknown): string {
  if (!(error instanceof AeclError) || error instanceof Unauthorized || error.code === "no_run") throw error;
  return error.forModel;
}
