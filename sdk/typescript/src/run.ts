/** Runs: what is guarded in one is judged, recorded, and done once. */

import { current } from "./current.js";
import { NotDone, Unauthorized, Unknown } from "./errors.js";
import * as exit from "./exit.js";
import * as flow from "./flow.js";
import type { Report } from "./flow.js";
import { guarded, onlyOptions } from "./guard.js";
import type { Given, GuardOptions, Guarded } from "./guard.js";
import type * as openapi from "./openapi.js";
import { NOTHING_SAID, Permit, endedWith } from "./permit.js";
import { Judged, limits } from "./state.js";
import type { Done, Leave, State } from "./state.js";
import type { Line } from "./transport.js";

/** How a call is made. */
export interface CallOptions {
  /** Makes it idempotent in its run: the same call id gives what is on record, and never acts twice. */
  readonly callId?: string;
  /** For how many seconds it waits for people before it throws `Pending`. */
  readonly waitS?: number;
}

export interface ExecuteOptions extends CallOptions {
  /** After a yes it goes on without this process. */
  readonly resume?: boolean;
}

/** Arguments of a call: plain data, a name for each value, and no list. */
export type Arguments = Readonly<Record<string, unknown>> | (object & { readonly [Symbol.iterator]?: never });

const CALL = { callId: true, waitS: true } satisfies Record<keyof CallOptions, true>;

/** What guards have in common, in a run and outside of one. */
export interface GuardFunction {
  <A extends object, R, D extends Partial<A> = Record<never, never>, B extends unknown[] = []>(
    name: string,
    fn: (args: A, ...beside: B) => R | Promise<R>,
    options?: GuardOptions<A, R, D>,
  ): Guarded<Given<A, D>, B, R>;
  <A extends object, R, D extends Partial<A> = Record<never, never>, B extends unknown[] = []>(
    fn: (args: A, ...beside: B) => R | Promise<R>,
    options?: GuardOptions<A, R, D>,
  ): Guarded<Given<A, D>, B, R>;
}

/** Run of an agent: one task, with what it may do. */
export class Run implements AsyncDisposable {
  readonly #line: Line;
  readonly #state: State;
  readonly #waitS: number;
  readonly #opened: boolean;
  readonly #toUndo: { done: Done; compensate: (done: Done) => unknown }[] = [];
  /** Id of the request about its plan, if people are asked. */
  readonly planApproval: string | undefined;

  /** @internal */
  constructor(line: Line, state: State, how: { waitS: number; planApproval?: string | undefined; opened: boolean }) {
    [this.#line, this.#state, this.#waitS, this.#opened] = [line, state, how.waitS, how.opened];
    this.planApproval = how.planApproval;
  }

  /** Id of the run (`run_…`). */
  get id(): string {
    return this.#state.run;
  }

  /** Agent whose run it is. */
  get agent(): string {
    return this.#state.agent;
  }

  /** Token of the run as it is now: for another process of yours (`resume`), never for the model. */
  get token(): string {
    return this.#state.token;
  }

  /**
   * Guards a function: `run.guard("transfer_funds", fn, options?)`, or `run.guard(fn)` by the name that it has.
   *
   * A call is proposed as the action of this name, waits or throws `Pending`, and the function is called only with a
   * permit for exactly these arguments, which are one object. What it returns is reported.
   */
  readonly guard: GuardFunction = ((name: never, fn: never, options: never) =>
    guarded(this, name, fn, options)) as GuardFunction;

  /** Has AECL carry an action out by its connector. */
  async execute(name: string, args: Arguments, options: ExecuteOptions = {}): Promise<Done> {
    onlyOptions(options, { ...CALL, resume: true }, "execute");
    const call = this.#call(name, Judged.of(args), options.callId, options.waitS);
    return await flow.execute(this.#line, this.#state, call, options.resume === true);
  }

  /**
   * Asks for leave to act, for whoever acts by hand: `await run.action(name, args, async (permit) => { … })`, or
   * `await using permit = await run.action(name, args)`.
   *
   * The function acts with `permit.arguments`, then says `permit.done(output)` or `permit.failed(why)`. One that says
   * nothing, or throws, has ended as unknown. `AlreadyDone` if this call id was done before.
   */
  action(name: string, args: Arguments, options?: CallOptions): Promise<Permit>;
  action<T>(name: string, args: Arguments, body: (permit: Permit) => T | Promise<T>, options?: CallOptions): Promise<T>;
  async action<T>(
    name: string,
    args: Arguments,
    body: ((permit: Permit) => T | Promise<T>) | CallOptions = {},
    more: CallOptions = {},
  ): Promise<T | Permit> {
    const options = typeof body === "function" ? more : body;
    onlyOptions(options, CALL, "action");
    const got = await this.authorize(name, Judged.of(args), options.callId, options.waitS);
    if (!("judged" in got)) throw flow.recorded(got);
    const permit = new Permit(got, (said) => this.report(got, said));
    if (typeof body !== "function") return permit;
    let value: T;
    try {
      value = await body(permit);
    } catch (error) {
      try {
        await permit.end(endedWith(error, error instanceof NotDone ? "failed" : "unknown"));
      } catch (unsaid) {
        throw unsaid instanceof Unknown ? because(unsaid, error) : unsaid;
      }
      throw error;
    }
    await permit.end(NOTHING_SAID);
    return value;
  }

  /** Calls a function in which `guard` acts in this run. */
  async within<T>(body: (run: Run) => T | Promise<T>): Promise<T> {
    return await current.run(this, async () => await body(this));
  }

  /**
   * Undoes what guards with `compensate` have done here, the latest first. Stops at the first that cannot be.
   *
   * Gives what was undone. Asked again it goes on from there.
   */
  async undo(): Promise<Done[]> {
    const undone: Done[] = [];
    for (let last = this.#toUndo.at(-1); last !== undefined; last = this.#toUndo.at(-1)) {
      const { done, compensate } = last;
      await this.within(() => compensate(done));
      const index = this.#toUndo.indexOf(last);
      if (index >= 0) this.#toUndo.splice(index, 1);
      undone.push(done);
    }
    return undone;
  }

  /** What is on record about the run: state, labels, calls (docs/reference/http.md). */
  async look(): Promise<openapi.Run> {
    return (await flow.lookAtRun(this.#line, this.#state)) as unknown as openapi.Run;
  }

  /** Whether people were asked in it by this process and have not answered as far as it knows. */
  waits(): boolean {
    return this.#state.waiting.size > 0 || this.planApproval !== undefined;
  }

  /** Ends the run. What waits in it is over. Only where it was opened. */
  async close(reason = "done"): Promise<void> {
    if (!this.#opened) return;
    if (!this.#state.owner) throw new Unauthorized("forbidden", "only whoever has opened a run may close it");
    await flow.closeRun(this.#line, this.#state, reason);
  }

  /** Ends the run, unless something in it still waits for people. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.waits()) await this.close();
  }

  /** @internal */
  async authorize(
    name: string,
    judged: Judged,
    callId: string | undefined,
    waitS: number | undefined,
  ): Promise<Leave | Done> {
    const got = await flow.authorize(this.#line, this.#state, this.#call(name, judged, callId, waitS));
    if ("judged" in got) exit.begun(got.action, this.#state, this.#line.at);
    return got;
  }

  /** @internal */
  async report(leave: Leave, said: Report): Promise<void> {
    try {
      await flow.report(this.#line, this.#state, leave.action, said, limits.reportS);
    } finally {
      exit.ended(leave.action);
    }
  }

  /** Reports what threw. The error gives way to the news that nobody knows. @internal */
  async reportAfter(error: unknown, leave: Leave, said: Report): Promise<void> {
    try {
      await this.report(leave, said);
    } catch (unsaid) {
      throw unsaid instanceof Unknown ? because(unsaid, error) : unsaid;
    }
  }

  /** @internal */
  toUndo(done: Done, compensate: ((done: Done) => unknown) | undefined): void {
    if (compensate === undefined || this.#toUndo.some((before) => before.done.action === done.action)) return;
    this.#toUndo.push({ done, compensate });
  }

  #call(name: string, judged: Judged, callId: string | undefined, waitS: number | undefined): flow.Call {
    const wait = waitS ?? this.#waitS;
    if (!(wait >= 0)) throw new TypeError(`\`waitS\` is ${wait}, and has to be seconds`);
    return { name, judged, callId, waitS: wait };
  }
}

function because(unsaid: Unknown, error: unknown): Unknown {
  unsaid.cause = error;
  return unsaid;
}
