/**
 * Answers of the server, read strictly: an unknown field, a wrong type or a state that does not go with its status is
 * an answer that is not understood, and then nothing happens.
 */

import {
  AeclError,
  Blocked,
  Closed,
  Expired,
  Invalid,
  Refused,
  Rejected,
  Unauthorized,
  Unavailable,
} from "./errors.js";
import type { Finding } from "./errors.js";
import type * as openapi from "./openapi.js";
import { readJson } from "./read.js";

/** Every field of a type, and no other: one that is new in openapi/aecl.json does not compile until it stands here. */
type Fields<T> = Readonly<Record<keyof T, true>>;

const ACTION: Fields<openapi.Action> = {
  action: true,
  approval: true,
  code: true,
  compensates: true,
  decision: true,
  hint: true,
  message: true,
  name: true,
  output: true,
  permit: true,
  permit_expires_at: true,
  receipt: true,
  replayed: true,
  run: true,
  state: true,
  undo: true,
};

const APPROVAL: Fields<openapi.Approval> = {
  about: true,
  action: true,
  asked_at: true,
  confirm: true,
  digest: true,
  excluded: true,
  expires_at: true,
  id: true,
  need: true,
  proposed: true,
  run: true,
  state: true,
  url: true,
  votes: true,
};

const PROBLEM: Fields<openapi.ProblemDetails> = {
  approval: true,
  code: true,
  detail: true,
  hint: true,
  status: true,
  title: true,
  type: true,
};

/** Which status each state has. */
export const STATES: ReadonlyMap<string, number> = new Map([
  ["done", 200],
  ["failed", 200],
  ["unknown", 200],
  ["blocked", 200],
  ["rejected", 200],
  ["permitted", 200],
  ["asked", 200],
  ["pending", 202],
  ["started", 202],
]);

const CLOSED: ReadonlySet<string> = new Set(["run_closed", "run_expired"]);
const INVALID: ReadonlySet<number> = new Set([400, 404, 405, 409, 413, 415, 422]);

/** Object of an answer, not yet looked at. */
export type Read = Readonly<Record<string, unknown>>;

/** Reply over HTTP: status, content type, body. */
export interface Reply {
  readonly status: number;
  readonly kind: string;
  readonly body: Uint8Array;
}

/** Request to people, as an answer about an action holds it. */
export interface Asked {
  readonly id: string;
  readonly url: string;
  readonly expiresAt: string;
}

/** Answer about an action. */
export interface Answer {
  readonly action: string;
  readonly state: string;
  readonly code: string;
  readonly message: string;
  readonly output: unknown;
  readonly replayed: boolean;
  readonly approval: Asked | undefined;
  readonly hint: string | undefined;
  readonly permit: string | undefined;
  readonly findings: readonly Finding[];
}

/** Error of an answer that is not understood. */
export function unreadable(why: string): Unavailable {
  return new Unavailable("answer_unreadable", `the answer is not understood: ${why}`, {
    hint: "is this address an AECL of the same version as this library?",
  });
}

/** Object that an answer has to be. */
function fields(body: Uint8Array): Read {
  let value: unknown;
  try {
    value = readJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch (error) {
    throw unreadable(`it is no JSON with a single meaning: ${error instanceof Error ? error.message : String(error)}`);
  }
  return asObject(value, "it");
}

function asObject(value: unknown, what: string): Read {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable(`${what} is no object`);
  return value as Read;
}

/** Field of an object: its own, and not one that every object inherits. */
function field(of: Read, name: string): unknown {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

/** Text that has to be there. */
export function text(of: Read, name: string): string {
  const value = field(of, name);
  if (typeof value !== "string" || value === "") throw unreadable(`\`${name}\` is no text`);
  return value;
}

/** Text that may be absent. */
function maybeText(of: Read, name: string): string | undefined {
  const value = field(of, name) ?? undefined;
  if (value !== undefined && typeof value !== "string") throw unreadable(`\`${name}\` is no text`);
  return value;
}

/** Refuses a field that nobody here understands: it may be what would forbid acting. */
function known(of: Read, names: object, what: string): void {
  for (const name of Object.keys(of)) {
    if (!Object.hasOwn(names, name))
      throw unreadable(`${what} has the field \`${name}\`, which this version does not know`);
  }
}

/** Body of an answer with this status; a problem is thrown as the error that it is. */
export function expect(reply: Reply, status: number): Read {
  if (reply.status >= 400) throw problem(reply);
  if (reply.status !== status) throw unreadable(`status ${reply.status}`);
  if (reply.kind !== "application/json") throw unreadable(`its content type is \`${reply.kind}\``);
  return fields(reply.body);
}

/** Id of the request about the plan of a run that was opened, if people are asked. */
export function planApproval(opened: Read): string | undefined {
  const asked = field(opened, "plan_approval") ?? undefined;
  return asked === undefined ? undefined : text(asObject(asked, "`plan_approval`"), "id");
}

/** Answer about an action; a problem is thrown as the error that it is. */
export function answer(reply: Reply): Answer {
  const of = expect(reply, reply.status === 202 ? 202 : 200);
  known(of, ACTION, "an action");
  const state = text(of, "state");
  if (STATES.get(state) !== reply.status) throw unreadable(`state \`${state}\` with status ${reply.status}`);
  const replayed = field(of, "replayed") ?? false;
  if (typeof replayed !== "boolean") throw unreadable("`replayed` is neither true nor false");
  const approval = asked(field(of, "approval"));
  if (state === "pending" && approval === undefined) throw unreadable("it waits, and names no request");
  const permit = maybeText(of, "permit");
  if ((state === "permitted") !== (permit !== undefined)) {
    throw unreadable(permit === undefined ? "a permit without its text" : `state \`${state}\` with a permit`);
  }
  return {
    action: text(of, "action"),
    state,
    code: maybeText(of, "code") ?? "",
    message: maybeText(of, "message") ?? "",
    output: field(of, "output"),
    replayed,
    approval,
    hint: maybeText(of, "hint"),
    permit,
    findings: findings(field(of, "decision")),
  };
}

function asked(value: unknown): Asked | undefined {
  if (value === undefined || value === null) return undefined;
  const of = asObject(value, "`approval`");
  known(of, APPROVAL, "a request for approval");
  return { id: text(of, "id"), url: text(of, "url"), expiresAt: text(of, "expires_at") };
}

function findings(decision: unknown): readonly Finding[] {
  if (decision === undefined || decision === null) return [];
  const found = field(asObject(decision, "`decision`"), "findings");
  if (!Array.isArray(found)) throw unreadable("`decision` has no findings");
  return found.map((item: unknown) => {
    const one = asObject(item, "a finding");
    const [check, code, verdict] = [text(one, "check"), text(one, "code"), text(one, "verdict")];
    return { check, code, verdict, message: text(one, "message") };
  });
}

/** Error of a blocked or rejected proposal. */
export function refusal(said: Answer): Refused {
  let kind: typeof Refused = Blocked;
  if (said.state === "rejected") kind = said.code === "approval_expired" ? Expired : Rejected;
  else if (CLOSED.has(said.code)) kind = Closed;
  const { action, findings } = said;
  return new kind(said.code || "not_allowed", said.message || "refused", { action, findings });
}

/** Error of a problem answer (RFC 9457). */
export function problem(reply: Reply): AeclError {
  if (reply.kind !== "application/problem+json") {
    return unreadable(`status ${reply.status} with content type \`${reply.kind}\``);
  }
  try {
    const of = fields(reply.body);
    known(of, PROBLEM, "a problem");
    const [code, detail] = [text(of, "code"), text(of, "detail")];
    const details = { hint: maybeText(of, "hint"), page: maybeText(of, "type") };
    if (CLOSED.has(code)) return new Closed(code, detail, details);
    if (reply.status === 401 || reply.status === 403) return new Unauthorized(code, detail, details);
    if (INVALID.has(reply.status)) return new Invalid(code, detail, details);
    // Too much to do, or no record: the server says so before it begins.
    return new Unavailable(code, detail, { ...details, sent: reply.status !== 429 && reply.status !== 503 });
  } catch (error) {
    if (error instanceof Unavailable) return error;
    throw error;
  }
}

/** Claims of a signed token. The signature is for others: who speaks here is known by the connection. */
export function claims(token: string): Read {
  const body = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token)?.[1];
  if (body === undefined) throw unreadable("a token is no JWT");
  return fields(Buffer.from(body, "base64url"));
}

/** Seconds for which a token counts from when it was made, by its own two times: clocks may differ. */
export function lifetimeS(of: Read): number {
  const [issued, ends] = [field(of, "iat"), field(of, "exp")];
  if (!Number.isSafeInteger(issued) || !Number.isSafeInteger(ends) || (ends as number) <= (issued as number)) {
    throw unreadable("a token without its times");
  }
  return (ends as number) - (issued as number);
}
