/**
 * LangChain and LangGraph: `createAgent({ …, middleware: [createMiddleware({ name: "aecl", wrapToolCall: guarded({ run }) })] })`.
 *
 * Every tool call is asked about before the tool is called. What waits for people is a LangGraph interrupt, in the form of
 * LangChain's own `tool_approval`; the graph goes on from its checkpoint, in whatever process. docs/guides/langchain-js.md.
 */

import { Invalid, NotDone, Pending } from "./errors.js";
import { Call, Door, told } from "./frameworks.js";
import type { GuardedOptions, Input } from "./frameworks.js";

export type { GuardedOptions };

/** What the adapter has to know of a tool call that LangChain wraps. */
interface RequestLike {
  readonly toolCall: { readonly name: string; readonly id?: string | undefined; readonly args: Input };
  readonly runtime: unknown;
}

/** Answer of people to an interrupt. */
type Answer =
  | { type: "approve" }
  | { type: "edit"; edited_action: { name: string; args: Input } }
  | { type: "reject"; message?: string }
  | { type: "respond"; message: string };

/** What is needed of a message with the result of a tool. */
interface MessageLike {
  readonly content?: unknown;
  readonly status?: unknown;
}

type ToolMessage = new (fields: object) => never;

/** The hook `wrapToolCall` of a middleware of LangChain. List that middleware last. */
export function guarded(
  options: GuardedOptions = {},
): <Q extends RequestLike, R>(request: Q, handler: (request: Q) => R | Promise<R>) => Promise<R> {
  const door = new Door(options);
  return async (request, handler) => {
    const { name } = request.toolCall;
    const message = await messages(request);
    const step = answers(request);
    if ("ended" in step) return message(step.ended, step.status);
    const call = new Call(door, name, step.args, step.id);
    try {
      await call.settled();
    } catch (error) {
      if (error instanceof Pending) {
        door.held(error);
        throw interruption(request, error);
      }
      return message(told(error), "error");
    }
    let failed: unknown;
    try {
      const act = async (judged: Input) => {
        try {
          return asDone(await handler({ ...request, toolCall: { ...request.toolCall, args: judged } }));
        } catch (error) {
          failed = error;
          // The tool was not called: its schema does not take these arguments.
          throw misfits(error) ? new NotDone(String(error)) : error;
        }
      };
      const came = await call.act(act, recorded);
      return "value" in came ? came.value : message(text(came.output), "success");
    } catch (error) {
      if (error instanceof Failed) return error.result as never;
      // It was not the tool: the report did not get through.
      if (failed === undefined || (error !== failed && !(error instanceof NotDone))) throw error;
      if (rises(failed) || misfits(failed)) throw failed;
      return message(String(failed), "error");
    }
  };
}

/** A result of LangChain that says that its tool has failed. */
class Failed extends Error {
  readonly result: unknown;

  constructor(result: MessageLike) {
    super(text(result.content));
    this.result = result;
  }
}

function asDone<R>(result: R): R {
  if ((result as MessageLike | undefined)?.status === "error") throw new Failed(result as MessageLike);
  return result;
}

/** What is recorded of a result: what the model reads of it. */
function recorded(result: unknown): unknown {
  const { content, update } = (result ?? {}) as { content?: unknown; update?: { messages?: unknown } };
  if (content !== undefined || !Array.isArray(update?.messages)) return content;
  return (update.messages as MessageLike[]).map((one) => one.content);
}

/** Makes what the model reads in place of a result. LangChain's own class, which stands beside this package. */
async function messages(request: RequestLike): Promise<(content: string, status: string) => never> {
  const place = "@langchain/core/messages";
  const { ToolMessage } = (await import(place)) as { ToolMessage: ToolMessage };
  const { name, id = "" } = request.toolCall;
  return (content, status) => new ToolMessage({ content, name, tool_call_id: id, status });
}

type Step = { readonly args: Input; readonly id: string } | { readonly ended: string; readonly status: string };

/**
 * A call of the model, with what people have answered to its interrupts so far. LangGraph runs the step from its beginning for
 * each answer. So all of them are read first: otherwise a no, or other arguments, would come after a permit for what was asked
 * at first.
 */
function answers(request: RequestLike): Step {
  const { name } = request.toolCall;
  let [args, id, edits] = [request.toolCall.args, request.toolCall.id ?? "", 0];
  for (let answer = answered(request); answer !== undefined; answer = answered(request)) {
    switch ((answer as Answer | null)?.type) {
      case "approve":
        break; // It says that it is time to look again. The yes that counts is in AECL.
      case "edit": {
        const { edited_action: edited } = answer as Extract<Answer, { type: "edit" }>;
        if (edited.name !== name) return { ended: `Refused: \`${name}\` cannot become another tool.`, status: "error" };
        edits += 1;
        // Another question, so another key. It is the same one whenever the step is run again.
        [args, id] = [edited.args, `${request.toolCall.id ?? ""}.edit${edits}`];
        break;
      }
      case "reject": {
        const why = (answer as { message?: string }).message ?? "no reason was given";
        return { ended: `The user said no: ${why}. Nothing was executed.`, status: "error" };
      }
      case "respond":
        return { ended: String((answer as { message: string }).message), status: "success" };
      default: {
        const form = '{ type: "approve" | "edit" | "reject" | "respond", … }';
        throw new Invalid("request_invalid", `an answer to an interrupt is ${form}; nothing was executed`);
      }
    }
  }
  return { args, id };
}

/** The next answer of people to this step, or nothing. An interrupt that does not rise asks nobody. */
function answered(request: RequestLike): unknown {
  try {
    return interrupt(request)("AECL reads the answers so far");
  } catch (error) {
    if (rises(error)) return undefined;
    throw error;
  }
}

/** What LangGraph has to see rise. The answers so far are read, so this one has none yet. */
function interruption(request: RequestLike, held: Pending): unknown {
  const { name, id } = request.toolCall;
  const { approval, url, expiresAt, card } = held;
  const aecl = { approval, url, expires_at: expiresAt, card };
  const value = { type: "tool_approval", tool_call_id: id, name, args: held.arguments, description: card, aecl };
  try {
    interrupt(request)(value);
  } catch (error) {
    return error;
  }
  return new Error(`LangGraph did not interrupt for \`${name}\`; nothing was executed`);
}

function interrupt(request: RequestLike): (value: unknown) => unknown {
  const own = (request.runtime as { interrupt?: unknown } | undefined)?.interrupt;
  if (typeof own === "function") return own as (value: unknown) => unknown;
  throw new Invalid("no_interrupt", "the runtime of LangGraph cannot interrupt here; nothing was executed");
}

/** What LangGraph handles itself: an interrupt, or a command for a graph around. */
function rises(error: unknown): boolean {
  return (error as { is_bubble_up?: unknown } | undefined)?.is_bubble_up === true;
}

/** Whether the schema of a tool does not take the arguments, so that it was not called. */
function misfits(error: unknown): boolean {
  return (error as { "~brand"?: unknown } | undefined)?.["~brand"] === "ToolInvocationError";
}

function text(output: unknown): string {
  return typeof output === "string" ? output : (JSON.stringify(output) ?? "");
}
