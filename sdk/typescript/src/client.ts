/** Clients: where runs are opened and gone on with. */

import { AeclError, Invalid, Pending, Unauthorized } from "./errors.js";
import * as flow from "./flow.js";
import { onlyOptions } from "./guard.js";
import type * as openapi from "./openapi.js";
import { Run } from "./run.js";
import { State } from "./state.js";
import { Line, place } from "./transport.js";
import type { Place, Where } from "./transport.js";
import * as wire from "./wire.js";

/** What a run is, for whom, and how long its calls wait. Times are in seconds. */
export interface OpenOptions {
  readonly agent: string;
  readonly goal: string;
  /** List of steps, or words (docs/reference/manifest.md). */
  readonly plan?: unknown;
  readonly user?: string;
  readonly tenant?: string;
  readonly project?: string;
  readonly environment?: string;
  readonly ttlS?: number;
  /** Puts the plan before people: once they agree, its steps are carried out without asking again. */
  readonly approvePlan?: boolean;
  readonly planWaitS?: number;
  /** For how many seconds calls wait for people before they throw `Pending`. */
  readonly waitS?: number;
}

/** Which run is gone on with; left out, `AECL_RUN` and `AECL_TOKEN` say it. */
export interface ResumeOptions {
  readonly run?: string;
  readonly token?: string;
  readonly waitS?: number;
}

const OPEN: Readonly<Record<keyof OpenOptions, true>> = {
  agent: true,
  goal: true,
  plan: true,
  user: true,
  tenant: true,
  project: true,
  environment: true,
  ttlS: true,
  approvePlan: true,
  planWaitS: true,
  waitS: true,
};

/**
 * Client of one server.
 *
 * `url` and `token` (an orchestrator's key) point it at a shared server; left out, `AECL_URL` and `AECL_TOKEN` do. With
 * neither, the home of this directory (or `directory`) is served, by a process that is started if need be, when the
 * first run is opened.
 */
export class Client implements Disposable {
  readonly #where: Where;
  #found: Promise<Line> | undefined;

  constructor(where: Where = {}) {
    onlyOptions(where, { url: true, token: true, directory: true }, "a client");
    this.#where = where;
  }

  /**
   * Opens a run: one task of one agent. With a function, that is called with it, `guard` acts in it there, and its end
   * closes the run unless something in it still waits for people.
   */
  openRun(options: OpenOptions): Promise<Run>;
  openRun<T>(options: OpenOptions, body: (run: Run) => T | Promise<T>): Promise<T>;
  async openRun<T>(options: OpenOptions, body?: (run: Run) => T | Promise<T>): Promise<T | Run> {
    onlyOptions(options, OPEN, "openRun");
    const line = await this.#line();
    const { state, planApproval } = await flow.openRun(line, opening(line.at, options));
    const run = new Run(line, state, { waitS: options.waitS ?? 0, planApproval, opened: true });
    return body === undefined ? run : await block(run, body);
  }

  /** Goes on with a run that another process has opened, by its token. */
  resume(options?: ResumeOptions): Promise<Run>;
  resume<T>(options: ResumeOptions, body: (run: Run) => T | Promise<T>): Promise<T>;
  async resume<T>(options: ResumeOptions = {}, body?: (run: Run) => T | Promise<T>): Promise<T | Run> {
    onlyOptions(options, { run: true, token: true, waitS: true }, "resume");
    const line = await this.#line();
    const state = resumed(line.at, options.run, options.token ?? this.#where.token);
    await flow.lookAtRun(line, state);
    const run = new Run(line, state, { waitS: options.waitS ?? 0, opened: false });
    return body === undefined ? run : await block(run, body);
  }

  /** Closes the connections. Runs stay as they are. */
  close(): void {
    const found = this.#found;
    this.#found = undefined;
    found?.then((line) => line.close()).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #line(): Promise<Line> {
    const found = (this.#found ??= place(this.#where).then((at) => new Line(at)));
    try {
      return await found;
    } catch (error) {
      // A server that was not there is looked for again the next time.
      if (this.#found === found) this.#found = undefined;
      throw error;
    }
  }
}

async function block<T>(run: Run, body: (run: Run) => T | Promise<T>): Promise<T> {
  let value: T;
  try {
    value = await run.within(body);
  } catch (error) {
    // An answer of people that comes later must find it.
    if (!(error instanceof Pending))
      await closed(run, `ended with ${error instanceof Error ? error.name : typeof error}`);
    throw error;
  }
  await closed(run, "done");
  return value;
}

async function closed(run: Run, reason: string): Promise<void> {
  if (run.waits()) return;
  try {
    await run.close(reason);
  } catch (error) {
    if (!(error instanceof AeclError)) throw error;
    // It ends by itself after its time, and what matters to the caller is what the function came to.
    process.emitWarning(`the run ${run.id} could not be closed: ${error.message}`, "AeclWarning");
  }
}

function opening(at: Place, options: OpenOptions): openapi.OpenRun {
  if (!at.owner) {
    throw new Unauthorized("token_missing", `${at.url} opens runs for the key of an orchestrator, and there is none`, {
      hint: "`aecl keys add orchestrator NAME --agent AGENT` makes one; give it as `token` or AECL_TOKEN",
    });
  }
  const { agent, goal, plan, user, tenant, project, environment, ttlS, approvePlan, planWaitS = 0 } = options;
  const words = {
    agent,
    goal,
    plan: Array.isArray(plan) ? { steps: plan as unknown[] } : plan,
    user,
    tenant,
    project,
    environment,
    ttl_s: ttlS,
    ...(approvePlan === true ? { approve_plan: true, wait_s: Math.floor(planWaitS) } : {}),
  };
  const said = Object.entries(words).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as unknown as openapi.OpenRun;
}

/** State of a run that another process has opened. */
function resumed(at: Place, run = process.env["AECL_RUN"] || undefined, given?: string): State {
  const token = given || process.env["AECL_TOKEN"] || "";
  if (token === "" || token.startsWith("aecl_")) {
    throw new Unauthorized("token_missing", "to go on with a run takes the token of the run", {
      hint: "give `run.token` of the process that has opened it, as `token` or AECL_TOKEN",
    });
  }
  let named: string;
  try {
    named = wire.text(wire.claims(token), "run");
  } catch {
    throw new Unauthorized("token_invalid", "this is no token of a run");
  }
  if (run !== undefined && run !== named) {
    throw new Invalid("request_invalid", `the token is one of \`${named}\`, and not of \`${run}\``);
  }
  return new State(named, token, at.key, at.owner);
}
