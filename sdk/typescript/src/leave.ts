/**
 * Leave for a worker to call one function once: what is looked at before anything is done with it.
 *
 * It is made by the server when this process accepts, for the nonce that this process has made up for that. So it is for
 * now, for this process and for exactly these bytes, whatever the clocks say and whoever has copied what before. Whoever
 * does not have the server's key makes none.
 */

import { createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { uptime } from "node:os";

import { Unauthorized } from "./errors.js";
import { digest } from "./json.js";
import { readJson } from "./read.js";
import type { Read } from "./wire.js";

/** How the key of a worker begins; behind the dot stands the key that signs for its server. */
const PREFIX = "aecl_w_";
/** Most ids that are remembered. */
const SEEN_MAX = 100_000;
/** Functions that may change something. */
const ACTS: ReadonlySet<string> = new Set(["perform", "compensate"]);
/** What stands before the 32 bytes of an Ed25519 key in its usual form. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** Seconds that have passed, the sleep of the machine included. No wall clock is asked. */
export function now(): number {
  return uptime();
}

/**
 * What was handed over is no leave for this; nothing was done.
 *
 * `ours`: the server has signed it for this very acceptance, so it may be told that nothing was done. Of any other permit
 * nothing is said: it may be one of something that is underway.
 */
export class NotFollowed extends Error {
  ours = false;
}

/** Key of a worker, and the public key of the server that it works for. */
export class Key {
  private constructor(
    readonly token: string,
    readonly signs: KeyObject,
  ) {}

  /** Takes the key that `aecl keys add worker` has made. `signer`: another key that signs, in base64url. */
  static of(token: string | undefined, signer?: string): Key {
    if (token === undefined || !token.startsWith(PREFIX) || !/^[!-~]+$/.test(token)) {
      throw new Unauthorized("token_missing", "a worker needs a key of its own", {
        hint: "`aecl keys add worker NAME --action ACTION` makes one; give it as `token` or AECL_WORKER_TOKEN",
      });
    }
    const bytes = decoded(signer ?? token.slice(token.indexOf(".") + 1));
    try {
      if (bytes?.length !== 32) throw new Error("it has another length");
      return new Key(token, createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: "der", type: "spki" }));
    } catch {
      throw new Unauthorized("token_invalid", "the key of the worker does not say whose calls it follows", {
        hint: "take the whole of what `aecl keys add worker` prints, or give the server's key as `signer`",
      });
    }
  }

  /** Not the token, which must not stand in logs. */
  toJSON(): string {
    return "[key of a worker]";
  }
}

/** Bytes of base64url, written in the one way there is. */
function decoded(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** Object of a JSON text, of which no part has two meanings. */
export function objectOf(text: string): Read {
  const value = readJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new NotFollowed("it is no object");
  return value as Read;
}

/** Claims that this key has signed, in a token of exactly this kind. Throws `NotFollowed`. */
function signed(token: string, key: KeyObject, kind: string): Read {
  const parts = token.split(".");
  const [header, claims, signature] = parts.map(decoded);
  if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined) {
    throw new NotFollowed("it is no signed token");
  }
  let [said, of]: [Read, Read] = [{}, {}];
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    [said, of] = [objectOf(text.decode(header)), objectOf(text.decode(claims))];
  } catch {
    throw new NotFollowed("it is no signed token");
  }
  if (said["alg"] !== "EdDSA" || said["typ"] !== kind || Object.hasOwn(said, "crit")) {
    throw new NotFollowed(`it is no \`${kind}\`, signed with Ed25519`);
  }
  if (signature.length !== 64 || !verify(null, Buffer.from(`${parts[0]}.${parts[1]}`, "ascii"), key, signature)) {
    throw new NotFollowed("it is not signed by the server of this worker");
  }
  return of;
}

function expect(of: Read, expected: Readonly<Record<string, string>>): void {
  for (const [claim, value] of Object.entries(expected)) {
    if (of[claim] !== value) throw new NotFollowed(`its \`${claim}\` is another than this worker has asked for`);
  }
}

function textOf(of: Read, name: string): string {
  const value = of[name];
  if (typeof value !== "string" || value === "") throw new NotFollowed("it says less than it should");
  return value;
}

function whole(of: Read, name: string): number {
  const value = of[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new NotFollowed(`its \`${name}\` is no number`);
  return value;
}

/** Name of the server, and the name by which it knows this worker. */
export function greeting(token: string, key: Key, instance: string, nonce: string): { issuer: string; name: string } {
  try {
    const of = signed(token, key.signs, "aecl-worker+jwt");
    expect(of, { aud: "aecl:worker", instance, nonce });
    return { issuer: textOf(of, "iss"), name: textOf(of, "sub") };
  } catch (error) {
    if (!(error instanceof NotFollowed)) throw error;
    const why = `who answers is not the server that has made the key of this worker: ${error.message}`;
    throw new Unauthorized("server_foreign", why, {
      hint: "look at the address; for a home with new keys, make the worker a new key, too",
    });
  }
}

/** Offer of a call: its delivery, and the function that is to be called. */
export interface Offer {
  readonly delivery: string;
  readonly action: string;
  readonly function: string;
}

/** Leave to call one function once, with exactly these bytes. */
export interface WorkLeave {
  readonly permit: string;
  readonly call: string;
  readonly action: string;
  readonly function: string;
  readonly key: string;
  readonly leaseS: number;
  /** The arguments, read anew at each time. */
  readonly read: () => Record<string, unknown>;
  /** Refuses to begin too late: by then the server may have given it up. */
  readonly check: () => void;
}

/** For whom and when a leave has to be. */
export interface Asked {
  readonly issuer: string;
  readonly name: string;
  readonly offer: Offer;
  readonly nonce: string;
  /** When the acceptance was sent. */
  readonly since: number;
}

/** What one process looks at, and what it has seen before. */
export class Verifier {
  readonly #key: Key;
  readonly #instance: string;
  readonly #seen = new Set<string>();

  constructor(key: Key, instance: string) {
    [this.#key, this.#instance] = [key, instance];
  }

  /** Leave in the answer to an acceptance. Throws `NotFollowed`; each is taken once. */
  leave(of: Read, asked: Asked): WorkLeave {
    const { permit, arguments: text } = of as { permit?: unknown; arguments?: unknown };
    if (typeof permit !== "string" || typeof text !== "string") {
      throw new NotFollowed("there is no permit, or nothing that it is for");
    }
    const { issuer, name, offer, nonce } = asked;
    const claims = signed(permit, this.#key.signs, "aecl-work+jwt");
    const expected = { iss: issuer, aud: "aecl:work", sub: name, instance: this.#instance, nonce };
    expect(claims, { ...expected, jti: offer.delivery });
    try {
      return this.#taken(permit, text, claims, asked);
    } catch (error) {
      if (error instanceof NotFollowed) error.ours = true;
      throw error;
    }
  }

  #taken(permit: string, text: string, claims: Read, { offer, since }: Asked): WorkLeave {
    expect(claims, { serves: offer.action, function: offer.function });
    if (!text.isWellFormed()) throw new NotFollowed("the arguments are no text");
    if (claims["arguments"] !== digest(text)) throw new NotFollowed("the arguments are not those that were judged");
    const read = (): Record<string, unknown> => objectOf(text) as Record<string, unknown>;
    try {
      read();
    } catch {
      throw new NotFollowed("the arguments are no object");
    }
    const [begins, ends] = [whole(claims, "iat"), whole(claims, "exp")];
    if (ends <= begins) throw new NotFollowed("it does not say for how long it is good");
    const check = (): void => {
      if (now() >= since + (ends - begins)) throw new NotFollowed("it ran out before the function was called");
    };
    const leave: WorkLeave = {
      permit,
      call: textOf(claims, "call"),
      action: textOf(claims, "action"),
      function: offer.function,
      key: textOf(claims, "key"),
      leaseS: whole(claims, "lease_ms") / 1000,
      read,
      check,
    };
    check();
    // What acts does so once for an action, whatever deliveries there are of it.
    this.#once(`jti ${offer.delivery}`, ...(ACTS.has(offer.function) ? [`call ${leave.call} ${offer.function}`] : []));
    return leave;
  }

  #once(...names: string[]): void {
    if (names.some((name) => this.#seen.has(name))) throw new NotFollowed("it was followed before");
    for (const name of names) this.#seen.add(name);
    for (const name of this.#seen) {
      if (this.#seen.size <= SEEN_MAX) break;
      this.#seen.delete(name);
    }
  }
}
