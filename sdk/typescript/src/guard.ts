/** Guarded functions: what is called only with a permit for exactly its arguments. */

import { current } from "./current.js";
import { Invalid, NotDone, Unknown } from "./errors.js";
import { doneWith, endedWith } from "./permit.js";
import type { Run } from "./run.js";
import { Judged } from "./state.js";
import type { Done, Leave } from "./state.js";

/** Settings of a guard. */
export interface GuardOptions<A extends object, R, D extends Partial<A> = Partial<A>> {
  /** For how many seconds a call waits for people before it throws `Pending`. */
  readonly waitS?: number;
  /**
   * Values of arguments that a call leaves out. They are judged with the rest; a default in the function itself is a
   * value that nobody has judged.
   */
  readonly defaults?: D;
  /** Undoes it in `run.undo()`, by calling guarded functions. */
  readonly compensate?: (done: Done) => unknown;
  /** Finds out what became of an attempt that threw: returns what the function would have, or throws `NotDone`. */
  readonly lookup?: (args: A) => R | Promise<R>;
  /** Whether surely nothing has happened when the function threw this. */
  readonly surelyFailed?: (error: unknown) => boolean;
  /** Whether parameters behind the first are passed on. AECL never sees them. */
  readonly unjudged?: boolean;
  /** How what the function returns becomes JSON. */
  readonly encode?: (output: R) => unknown;
  /** How it comes back from the record. */
  readonly decode?: (recorded: never) => R;
}

/** Arguments of a call, of which those with a default may be left out. */
export type Given<A extends object, D> = Omit<A, keyof D> & Partial<Pick<A, keyof D & keyof A>>;

/** Guarded function. It is called as the function is, and always gives a promise. */
export interface Guarded<G extends object, B extends readonly unknown[], R> {
  (args: G, ...beside: B): Promise<R>;
  /** Name of the action. */
  readonly action: string;
  /**
   * The same function for one call of the model: `transfer.once(toolCallId)({ to })`.
   *
   * The same call id gives the recorded result and never acts twice, in whatever process the step is run again.
   */
  once(callId: string, options?: { readonly waitS?: number }): (args: G, ...beside: B) => Promise<R>;
}

type AnyFunction = (args: never, ...beside: never[]) => unknown;
type AnyOptions = GuardOptions<never, never, never>;

const OPTIONS: Readonly<Record<keyof AnyOptions, true>> = {
  waitS: true,
  defaults: true,
  compensate: true,
  lookup: true,
  surelyFailed: true,
  unjudged: true,
  encode: true,
  decode: true,
};

/** Refuses an option that nobody knows: a word that is misspelt must not be one that is not there. */
export function onlyOptions(options: object, names: object, what: string): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name)) {
      throw new TypeError(`${what} has no option \`${name}\`; it takes ${Object.keys(names).join(", ")}`);
    }
  }
}

interface Guard {
  readonly run: Run | undefined;
  readonly name: string;
  readonly fn: (args: unknown, ...beside: unknown[]) => unknown;
  readonly options: GuardOptions<Record<string, unknown>, unknown>;
}

/** Guarded function of a run, or of whichever run it is called in. */
export function guarded(
  run: Run | undefined,
  nameOrFn: string | AnyFunction,
  fnOrOptions: AnyFunction | AnyOptions | undefined,
  more: AnyOptions | undefined,
): unknown {
  const named = typeof nameOrFn === "string";
  const fn = named ? fnOrOptions : nameOrFn;
  const options = (named ? more : (fnOrOptions as AnyOptions | undefined)) ?? {};
  if (typeof fn !== "function") throw new TypeError("guard(name, function, options?) or guard(function, options?)");
  const name = named ? nameOrFn : fn.name;
  onlyOptions(options, OPTIONS, `a guard of \`${name}\``);
  if (named ? name === "" : !/^[\w$]+$/.test(name)) {
    throw new TypeError(`a function that is called \`${name}\` says no action: guard("the_action", function)`);
  }
  if (/Generator/.test(Object.prototype.toString.call(fn))) {
    throw new TypeError(`\`${name}\` is a generator: calling it does nothing yet, so its call cannot be guarded`);
  }
  if (fn.length > 1 && options.unjudged !== true) {
    throw new TypeError(
      `\`${name}\` has more than one parameter. Only one object of named arguments can be judged; with ` +
        "`unjudged: true` the others are passed on, and AECL never sees them",
    );
  }
  const guard = { run, name, fn, options } as unknown as Guard;
  const call = (args: unknown, ...beside: unknown[]): Promise<unknown> =>
    called(guard, undefined, undefined, args, beside);
  const once = (callId: string, how: { waitS?: number } = {}) => {
    onlyOptions(how, { waitS: true }, "once");
    return (args: unknown, ...beside: unknown[]): Promise<unknown> => called(guard, callId, how.waitS, args, beside);
  };
  Object.defineProperty(call, "name", { value: name, configurable: true });
  return Object.assign(call, { action: name, once });
}

async function called(
  guard: Guard,
  callId: string | undefined,
  waitS: number | undefined,
  args: unknown,
  beside: readonly unknown[],
): Promise<unknown> {
  const { name, options } = guard;
  const run = guard.run ?? current.getStore();
  if (run === undefined) {
    const hint =
      "call it inside of `openRun(…, async (run) => { … })` or `run.within(…)`, or guard it with `run.guard`";
    throw new Invalid("no_run", `\`${name}\` was called outside of a run`, { hint });
  }
  if (beside.length > 0 && options.unjudged !== true) {
    throw new Invalid("arguments_unfit", `\`${name}\` takes one object of arguments, and was given more beside it`);
  }
  const got = await run.authorize(name, withDefaults(args, options.defaults), callId, waitS ?? options.waitS);
  if ("judged" in got) return await act(guard, run, got, beside);
  run.toUndo(got, options.compensate);
  return options.decode === undefined ? got.output : options.decode(got.output as never);
}

/** Arguments with the defaults of the guard. What is the caller's is read once. */
function withDefaults(args: unknown, defaults: object | undefined): Judged {
  const given = Judged.of(args);
  return defaults === undefined ? given : Judged.of({ ...defaults, ...given.read() });
}

async function act(guard: Guard, run: Run, leave: Leave, beside: readonly unknown[]): Promise<unknown> {
  const { fn, name, options } = guard;
  let began = false;
  let value: unknown;
  try {
    leave.check();
    began = true;
    value = await fn(leave.judged.read(), ...beside);
    begun(value, name);
  } catch (error) {
    let said = endedWith(error, !began || isSure(error, options) ? "failed" : "unknown");
    if (said.outcome === "unknown" && options.lookup !== undefined) {
      const found = await lookedUp(options.lookup, leave);
      if ("value" in found) return await tell(guard, run, leave, found.value);
      const words = `${said.words}; and it could not be looked up: ${endedWith(found.error, "unknown").words}`;
      said = found.error instanceof NotDone ? { ...said, outcome: "failed" } : { ...said, words };
    }
    await run.reportAfter(error, leave, said);
    throw error;
  }
  return await tell(guard, run, leave, value);
}

type LookedUp = { readonly value: unknown } | { readonly error: unknown };

async function lookedUp(lookup: (args: Record<string, unknown>) => unknown, leave: Leave): Promise<LookedUp> {
  try {
    return { value: await lookup(leave.judged.read()) };
  } catch (error) {
    return { error };
  }
}

function isSure(error: unknown, options: Guard["options"]): boolean {
  if (error instanceof NotDone) return true;
  try {
    return options.surelyFailed?.(error) === true;
  } catch {
    // Whoever cannot say so is not sure.
    return false;
  }
}

/** Refuses something that has not begun: nothing was done, and nothing is reported as done. */
function begun(value: unknown, name: string): void {
  const kind = Object.prototype.toString.call(value);
  if (kind !== "[object Generator]" && kind !== "[object AsyncGenerator]") return;
  throw new NotDone(`\`${name}\` gave back a generator, which has not begun; guard what acts`);
}

async function tell(guard: Guard, run: Run, leave: Leave, value: unknown): Promise<unknown> {
  const { compensate, encode } = guard.options;
  try {
    await run.report(leave, doneWith(value, encode));
  } catch (error) {
    if (error instanceof Unknown) error.output = value;
    throw error;
  }
  const { action, name, judged } = leave;
  run.toUndo({ action, name, arguments: judged.read(), output: value, replayed: false }, compensate);
  return value;
}
