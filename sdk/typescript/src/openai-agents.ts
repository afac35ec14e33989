/**
 * OpenAI Agents SDK: `tool({ name: "transfer_funds", parameters, ...guarded("transfer_funds", transferFunds, { run }) })`.
 *
 * Every call is asked about where the SDK asks whether it needs approval, and the function is executed only with a permit
 * for exactly its arguments. What waits for people is an interruption of the SDK; whoever approves it and goes on, in
 * whatever process, has AECL asked again. docs/guides/openai-agents-js.md.
 */

import { isDeepStrictEqual } from "node:util";

import { Pending } from "./errors.js";
import { Call, Door, told, valueOf, withoutStreams } from "./frameworks.js";
import type { GuardedOptions, Input } from "./frameworks.js";

export type { GuardedOptions };

/** What the adapter has to know of the context of a run of the SDK. */
interface ContextLike {
  isToolApproved(call: { toolName: string; callId: string }): boolean | undefined;
}

/** What the SDK says beside the arguments of a call. */
interface DetailsLike {
  readonly toolCall?: { readonly callId?: string | undefined } | undefined;
}

/** Whether a call needs approval: what `needsApproval` of a tool of the SDK is. */
type Approval<I> = boolean | ((context: never, input: I, callId?: string) => Promise<boolean>);

/** What `tool({ … })` of the SDK is given. Spread it, and let nothing stand behind it. */
export interface GuardedFunction<I, O> {
  readonly execute: (input: I, context?: unknown, details?: unknown) => Promise<O | string>;
  readonly needsApproval: (context: unknown, input: I, callId?: string) => Promise<boolean>;
}

/** Options of `guarded`, beside those of all adapters. */
export interface GuardedFunctionOptions<I> extends GuardedOptions {
  /** When the SDK shall ask for an approval of its own, before AECL is asked. */
  readonly needsApproval?: Approval<I>;
}

/** A function for the tool of this name, which is executed only with a permit of AECL. */
export function guarded<I, O>(
  name: string,
  execute: (input: I, context: never, details: never) => O | Promise<O>,
  options: GuardedFunctionOptions<I> = {},
): GuardedFunction<I, O> {
  const door = new Door(options);
  if (!door.executes(name)) withoutStreams(name, execute);
  const asked = new Map<string, { readonly input: I; readonly call: Call }>();
  return {
    needsApproval: async (context, input, callId = "") => {
      const answered = (context as ContextLike).isToolApproved({ toolName: name, callId }) === true;
      if (!answered && (await wants(options.needsApproval, context, input, callId))) return true;
      const call = new Call(door, name, input, callId);
      try {
        await call.settled();
      } catch (error) {
        if (error instanceof Pending) {
          door.held(error);
          // It would take the second answer for a yes. So it ends here, and the same state goes on later.
          if (answered) throw error;
          return true;
        }
        told(error); // throws what is for the program
      }
      asked.set(callId, { input, call });
      return false;
    },
    execute: async (input, context, details) => {
      const id = (details as DetailsLike | undefined)?.toolCall?.callId ?? "";
      const kept = asked.get(id);
      asked.delete(id);
      // Something in between has changed it: another question. The first permit is given back by itself.
      const call = isDeepStrictEqual(kept?.input, input) && kept ? kept.call : new Call(door, name, input, id);
      try {
        await call.settled();
      } catch (error) {
        return told(error);
      }
      const act = (judged: Input) => execute(judged as I, context as never, details as never);
      return valueOf(await call.act<O>(act)) as O;
    },
  };
}

async function wants<I>(own: Approval<I> | undefined, context: unknown, input: I, callId: string): Promise<boolean> {
  return typeof own === "function" ? await own(context as never, input, callId) : own === true;
}
