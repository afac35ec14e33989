/**
 * Workers: functions that stay in TypeScript, in a process that holds their credentials; the agent's process holds none.
 *
 *     import { Worker } from "@aecl/sdk/worker";
 *
 *     const worker = new Worker();
 *     worker.register("transfer_funds", transferFunds, { compensate: reverse, lookup: find });
 *     await worker.run();
 *
 * AECL decides, records, and hands a call over; this process looks at the signed permit and at the bytes that it is for,
 * and calls the function once. docs/guides/workers.md has the whole.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import { setTimeout as pause } from "node:timers/promises";

import { AeclError, Invalid, NotDone, Unauthorized, Unavailable } from "./errors.js";
import { Key, NotFollowed, Verifier, greeting, now, objectOf } from "./leave.js";
import type { Offer, WorkLeave } from "./leave.js";
import { doneWith, endedWith } from "./permit.js";
import { Line, place } from "./transport.js";
import type { Place } from "./transport.js";
import * as wire from "./wire.js";

/** How long an acceptance is tried whose answer is lost. The permit runs from its first try. */
const ACCEPT_S = 30;
/** How long a report is tried once the worker is told to stop. */
const STOP_S = 30;
/** Longest pause between two tries to connect, or to report. */
const PAUSE_MAX_S = 5;
/** Longest text about an error that is reported, in characters. */
const SAID_MAX = 1000;
/** How often a server that is quiet says that it is there, in seconds. */
const BEAT_S = 5;
/** Longest line of the server, in characters. */
const LINE_MAX = 1 << 20;

/** The call that is carried out here. */
export interface WorkerCall {
  /** The action on record (`act_…`). */
  readonly action: string;
  /** Its name. */
  readonly name: string;
  /** What is called: `perform`, `compensate`, `lookup` or `dry_run`. */
  readonly function: string;
  /** The same for every attempt at the same action: hand it to the target as its idempotency key. */
  readonly key: string;
  /** Aborted when nobody waits any more; a function may throw `NotDone` while surely nothing has happened. */
  readonly signal: AbortSignal;
}

const current = new AsyncLocalStorage<WorkerCall>();

/** Call that is carried out here. Throws `Invalid` outside of a function that a worker has called. */
export function workerCall(): WorkerCall {
  const call = current.getStore();
  if (call === undefined) throw new Invalid("no_run", "no call of a worker is carried out here");
  return call;
}

/** Where a worker works, and with what. */
export interface WorkerOptions {
  /** Where the server is (`AECL_URL`; without one, the home of this directory). */
  readonly url?: string;
  /** The key that `aecl keys add worker` has made (`AECL_WORKER_TOKEN`); it says for which server this worker works, too. */
  readonly token?: string;
  /** Another public key that signs for the server, in base64url. */
  readonly signer?: string;
  readonly directory?: string;
  /** How many calls are carried out at once, 8. */
  readonly concurrency?: number;
  /** Is told what goes wrong beside calls: a line that ended, a permit that was refused. `console.warn` if left out. */
  readonly log?: (message: string) => void;
}

type WorkFunction<A> = (args: A) => unknown;

/** What else a worker does for an action. */
export interface RegisterOptions<A extends object> {
  /** Carries out the actions whose connector says `compensates: ACTION`. */
  readonly compensate?: WorkFunction<never>;
  /** Finds out whether a call happened: returns what the function would have, or throws `NotDone`. Changes nothing. */
  readonly lookup?: WorkFunction<A>;
  /** Called before the function; then the output has `snapshot` and `output`. */
  readonly snapshot?: WorkFunction<A>;
  /** Says what would happen. Changes nothing. */
  readonly dryRun?: WorkFunction<A>;
  /** Whether surely nothing has happened when the function threw this. */
  readonly surelyFailed?: (error: unknown) => boolean;
  /** How what the function returns becomes JSON. */
  readonly encode?: (output: never) => unknown;
}

interface Served {
  readonly functions: ReadonlyMap<string, WorkFunction<never>>;
  readonly snapshot: WorkFunction<never> | undefined;
  readonly surelyFailed: (error: unknown) => boolean;
  readonly encode: ((output: never) => unknown) | undefined;
}

interface Ended {
  readonly outcome: string;
  readonly output?: string | undefined;
  readonly message?: string | undefined;
}

interface Held {
  readonly ends: AbortController;
  /** Silence after which it is not this worker's any more. It decides how often the server is told that it lives. */
  leaseS: number;
}

/** Process that takes calls of some actions, carries each out once, and reports what came of it. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #served = new Map<string, Served>();
  readonly #instance = unguessed();
  readonly #held = new Map<string, Held>();
  readonly #taken = new Set<Promise<void>>();
  readonly #stops = new AbortController();
  readonly #ended = new AbortController();
  #beat = new AbortController();
  #line: Line | undefined;
  #key: Key | undefined;
  #verifier: Verifier | undefined;

  constructor(options: WorkerOptions = {}) {
    this.#options = options;
    this.#concurrency = options.concurrency ?? 8;
    if (!Number.isInteger(this.#concurrency) || this.#concurrency < 1 || this.#concurrency > 256) {
      throw new RangeError(`\`concurrency\` is ${options.concurrency}; it must be 1 to 256`);
    }
    if (this.#given() !== undefined) Key.of(this.#given(), options.signer);
  }

  /** Serves an action by a function, which gets its arguments as one object. Gives the function back. */
  register<A extends object, R>(action: string, fn: (args: A) => R, options: RegisterOptions<A> = {}): (args: A) => R {
    if (this.#key !== undefined) throw new Error("register before the worker runs");
    if (this.#served.has(action)) throw new Error(`\`${action}\` is registered already`);
    const { compensate, lookup, snapshot, dryRun, surelyFailed = () => false, encode } = options;
    const named = { perform: fn as WorkFunction<never>, compensate, lookup, dry_run: dryRun };
    const functions = new Map<string, WorkFunction<never>>();
    for (const [name, one] of Object.entries(named)) if (one !== undefined) functions.set(name, one);
    this.#served.set(action, { functions, snapshot, surelyFailed, encode });
    return fn;
  }

  /**
   * Takes calls until `stop`, SIGTERM or SIGINT; then ends what it has accepted.
   *
   * A connection that is lost is made again. Throws `Unauthorized` when the key does not count or somebody else answers,
   * and `Invalid` when the server does not take what is registered.
   */
  async run(): Promise<void> {
    if (this.#served.size === 0) throw new Invalid("request_invalid", "the worker has no function; register one");
    if (this.#key !== undefined) throw new Error("the worker runs already");
    this.#key = Key.of(this.#given(), this.#options.signer);
    this.#verifier = new Verifier(this.#key, this.#instance);
    const { url, directory } = this.#options;
    const at = await place({ url, directory });
    this.#line = new Line(at);
    const told = (): void => this.stop();
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, told);
    const beats = this.#beats();
    try {
      try {
        await this.#reads(at);
      } finally {
        this.#stops.abort();
        await this.#drain();
      }
    } finally {
      this.#ended.abort();
      this.#beat.abort();
      await beats;
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, told);
      this.#line.close();
    }
  }

  /** Takes nothing new; `run` ends when what was accepted is reported. */
  stop(): void {
    this.#stops.abort();
  }

  #given(): string | undefined {
    return this.#options.token ?? (process.env["AECL_WORKER_TOKEN"] || undefined);
  }

  #log(message: string): void {
    (this.#options.log ?? ((said: string) => console.warn(`aecl.worker: ${said}`)))(message);
  }

  // The line: what there is.

  async #reads(at: Place): Promise<void> {
    let waitS = 0.1;
    while (!this.#stops.signal.aborted) {
      try {
        await this.#connected(at, () => (waitS = 0.1));
      } catch (error) {
        // The same again will be refused, too.
        if (error instanceof Unauthorized || error instanceof Invalid) throw error;
        this.#log(`the line to the server has ended: ${said(error)}`);
      }
      await sleep(waitS, this.#stops.signal);
      waitS = Math.min(waitS * 2, PAUSE_MAX_S);
    }
  }

  async #connected(at: Place, good: () => void): Promise<void> {
    const nonce = unguessed();
    const serves = Object.fromEntries([...this.#served].map(([name, one]) => [name, [...one.functions.keys()].sort()]));
    const body = JSON.stringify({ instance: this.#instance, nonce, serves, slots: this.#concurrency });
    let server: { issuer: string; name: string } | undefined;
    for await (const line of linesOf(at, this.#token(), body, this.#stops.signal)) {
      const one = objectOf(line);
      if (server === undefined) {
        if (one["kind"] !== "hello") throw new Unavailable("answer_unreadable", "the server does not greet");
        server = greeting(wire.text(one, "greeting"), this.#key as Key, this.#instance, nonce);
        continue;
      }
      good();
      if (one["kind"] === "offer") {
        const offer = { delivery: wire.text(one, "delivery"), action: wire.text(one, "action"), function: wire.text(one, "function") };
        const leaseS = typeof one["lease_ms"] === "number" && one["lease_ms"] > 0 ? one["lease_ms"] / 1000 : 15;
        const taken = this.#take(server, offer, leaseS).catch((error: unknown) => this.#log(`a call broke: ${said(error)}`));
        this.#taken.add(taken);
        void taken.finally(() => this.#taken.delete(taken));
      } else if (one["kind"] === "cancel") {
        this.#held.get(wire.text(one, "delivery"))?.ends.abort();
      } else if (one["kind"] === "closing") {
        return;
      }
    }
  }

  async #drain(): Promise<void> {
    try {
      await this.#post("drain", {});
    } catch (error) {
      if (!(error instanceof AeclError)) throw error;
    }
    while (this.#taken.size > 0) await Promise.all(this.#taken);
  }

  // The beats: that this process lives.

  async #beats(): Promise<void> {
    while (!this.#ended.signal.aborted || this.#held.size > 0) {
      const due = Math.min(BEAT_S, ...[...this.#held.values()].map(({ leaseS }) => leaseS / 3));
      await sleep(due, this.#beat.signal);
      if (this.#beat.signal.aborted && !this.#ended.signal.aborted) {
        // What came meanwhile may have a shorter lease.
        this.#beat = new AbortController();
        continue;
      }
      if (this.#ended.signal.aborted) return;
      try {
        const heard = wire.expect(await this.#post("heartbeat", { deliveries: [...this.#held.keys()] }), 200);
        for (const delivery of [heard["gone"], heard["cancelled"]].flat()) this.#held.get(String(delivery))?.ends.abort();
      } catch (error) {
        this.#log(`the server does not hear this worker: ${said(error)}`);
      }
    }
  }

  // A call: accept, look at the leave, act, report.

  async #take(server: { issuer: string; name: string }, offer: Offer, leaseS: number): Promise<void> {
    const served = this.#served.get(offer.action);
    const fn = served?.functions.get(offer.function);
    if (served === undefined || fn === undefined || this.#stops.signal.aborted) return;
    const held: Held = { ends: new AbortController(), leaseS };
    this.#held.set(offer.delivery, held);
    this.#beat.abort();
    try {
      const [nonce, since] = [unguessed(), now()];
      const of = await this.#accept(offer.delivery, nonce);
      if (of === undefined) return;
      let leave: WorkLeave;
      try {
        leave = (this.#verifier as Verifier).leave(of, { ...server, offer, nonce, since });
      } catch (error) {
        if (!(error instanceof NotFollowed)) throw error;
        this.#log(`${offer.function} of \`${offer.action}\` was not called: ${error.message}`);
        if (error.ours) await this.#report(of["permit"], { outcome: "refused", message: `not called: ${error.message}` }, 10);
        return;
      }
      held.leaseS = leave.leaseS;
      await this.#report(leave.permit, await this.#carriedOut(served, fn, leave, held.ends.signal));
    } finally {
      this.#held.delete(offer.delivery);
    }
  }

  /** What is handed over; nothing if it is not for this process any more. A lost answer is asked for again. */
  async #accept(delivery: string, nonce: string): Promise<wire.Read | undefined> {
    const until = now() + ACCEPT_S;
    for (let waitS = 0.05; ; waitS = Math.min(waitS * 2, 1)) {
      try {
        return wire.expect(await this.#post("accept", { delivery, nonce }), 200);
      } catch (error) {
        if (!(error instanceof AeclError)) throw error;
        if (!(error instanceof Unavailable) || now() >= until) {
          this.#log(`an offer is over, and nothing was done: ${error.message}`);
          return undefined;
        }
      }
      await pause(waitS * 1000);
    }
  }

  async #carriedOut(served: Served, fn: WorkFunction<never>, leave: WorkLeave, signal: AbortSignal): Promise<Ended> {
    const call = { action: leave.call, name: leave.action, function: leave.function, key: leave.key, signal };
    return await current.run(call, async () => {
      let snapshot: string | undefined;
      try {
        if (served.snapshot !== undefined && leave.function === "perform") {
          const taken = doneWith(await served.snapshot(leave.read() as never));
          if (taken.output === undefined) throw new NotFollowed(`the snapshot cannot be kept: ${taken.words ?? "it is nothing"}`);
          snapshot = taken.output;
        }
        leave.check();
      } catch (error) {
        return { outcome: "refused", message: `not called: ${said(error)}` };
      }
      let value: unknown;
      try {
        value = await fn(leave.read() as never);
      } catch (error) {
        const failed = error instanceof NotDone || served.surelyFailed(error);
        const { outcome, words } = endedWith(error, failed ? "failed" : "unknown");
        if (!failed) this.#log(`\`${leave.action}\` ended with ${words ?? "an error"}`);
        return { outcome, message: words };
      }
      const encode = ["perform", "lookup"].includes(leave.function) ? served.encode : undefined;
      const done = doneWith(value, encode);
      const output = snapshot === undefined ? done.output : `{"output":${done.output ?? "null"},"snapshot":${snapshot}}`;
      return { outcome: "done", output, message: done.words };
    });
  }

  /** Says what came of it, until it is on record or the server has said that it will not be. */
  async #report(permit: unknown, ended: Ended, triesS?: number): Promise<void> {
    if (typeof permit !== "string") return;
    let { output } = ended;
    const words = { permit, outcome: ended.outcome, message: (ended.message ?? "").slice(0, SAID_MAX) };
    let until = triesS === undefined ? undefined : now() + triesS;
    for (let waitS = 0.05; until === undefined || now() < until; waitS = Math.min(waitS * 2, PAUSE_MAX_S)) {
      if (until === undefined && this.#stops.signal.aborted) until = now() + STOP_S;
      try {
        const reply = await this.#post("report", words, output);
        if (reply.status === 200) return;
        const refused = wire.problem(reply);
        if ((reply.status === 400 || reply.status === 413) && output !== undefined) {
          // It was done, and that counts more than what came out.
          [output, words.message] = [undefined, `the output could not be recorded: ${refused.message}`.slice(0, SAID_MAX)];
          continue;
        }
        if (reply.status < 500 && reply.status !== 429) {
          this.#log(`what came of a call was not taken (it was ${ended.outcome}): ${refused.message}`);
          return;
        }
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        this.#log(`what came of a call is not on record yet: ${error.message}`);
      }
      await pause(waitS * 1000);
    }
    this.#log(`what came of a call could not be reported (it was ${ended.outcome})`);
  }

  #token(): string {
    return (this.#key as Key).token;
  }

  async #post(what: string, words: object, output?: string): Promise<wire.Reply> {
    const plain = JSON.stringify({ instance: this.#instance, ...words });
    const body = output === undefined ? plain : `${plain.slice(0, -1)},"output":${output}}`;
    return await (this.#line as Line).send({ method: "POST", path: `/v1/workers/${what}`, token: this.#token(), body });
  }
}

/** The lines of the server, until it or the worker ends. Silence of three beats is the end of a line. */
async function* linesOf(at: Place, token: string, body: string, stops: AbortSignal): AsyncGenerator<string> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/x-ndjson" };
  const options: http.RequestOptions = { method: "POST", headers, timeout: BEAT_S * 3000, signal: stops, agent: false };
  if (at.socket !== undefined) options.socketPath = at.socket;
  const asking = (at.url.startsWith("https:") ? https : http).request(new URL(`${at.url}/v1/workers/connect`), options);
  try {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      asking.on("response", resolve);
      asking.on("error", reject);
      asking.on("timeout", () => asking.destroy(new Error("the server is silent")));
      asking.end(body);
    });
    if (response.statusCode !== 200) {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const kind = (response.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
      throw wire.problem({ status: response.statusCode ?? 0, kind, body: Buffer.concat(chunks) });
    }
    let rest = "";
    response.setEncoding("utf8");
    for await (const chunk of response) {
      rest += chunk as string;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        if (line !== "") yield line;
      }
      if (rest.length > LINE_MAX) throw new Unavailable("answer_unreadable", `a line of the server is longer than ${LINE_MAX}`);
    }
  } catch (error) {
    if (!stops.aborted) throw error;
  } finally {
    asking.destroy();
  }
}

/** Some name that nobody guesses. */
function unguessed(): string {
  return randomBytes(24).toString("base64url");
}

/** Waits, unless somebody wakes it. */
async function sleep(seconds: number, wakes: AbortSignal): Promise<void> {
  await pause(seconds * 1000, undefined, { signal: wakes }).catch(() => undefined);
}

function said(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, SAID_MAX);
}
