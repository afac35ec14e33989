/**
 * Vercel AI SDK: `generateText({ model, prompt, ...guarded({ transferFunds: tool({ … }) }, { run }) })`.
 *
 * Every tool call is asked about where the SDK asks whether it needs approval, and the tool is executed only with a
 * permit for exactly its arguments. What waits for people is the SDK's own approval request; when it is answered, in
 * whatever process, AECL is asked again. docs/guides/ai-sdk.md.
 */

import { isDeepStrictEqual } from "node:util";

import { Pending } from "./errors.js";
import { Call, Door, told, valueOf, withoutStreams } from "./frameworks.js";
import type { GuardedOptions, Input } from "./frameworks.js";

export type { GuardedOptions };

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
    withoutStreams(name, tool.execute);
  }

  /** The tool as the SDK gets it. */
  tool(): ToolLike {
    const execute = async (input: Input, how: { toolCallId: string }): Promise<unknown> => {
      const call = this.#taken(input, how.toolCallId) ?? new Call(this.#door, this.#name, input, how.toolCallId);
      const act = (judged: Input) => (this.#tool.execute as (...given: unknown[]) => unknown)(judged, how);
      return valueOf(await call.act(act));
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

/** Whether there is a request of the SDK for approval of this call in what a message holds. */
function asksFor(content: unknown, id: string): boolean {
  if (!Array.isArray(content)) return false;
  return content.some(
    (part: { type?: unknown; toolCallId?: unknown }) => part.type === "tool-approval-request" && part.toolCallId === id,
  );
}
