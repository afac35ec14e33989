/** The walk of one action: propose, act with a permit, report. Whoever calls acts; nothing here does. */

import { setTimeout as pause } from "node:timers/promises";

import {
  AeclError,
  AlreadyDone,
  Failed,
  Invalid,
  Pending,
  Unauthorized,
  Unavailable,
  Underway,
  Unknown,
} from "./errors.js";
import { canonical, digest } from "./json.js";
import { callKey } from "./key.js";
import type * as openapi from "./openapi.js";
import { Judged, Leave, State, limits, nowS } from "./state.js";
import type { Done } from "./state.js";
import type { Line } from "./transport.js";
import * as wire from "./wire.js";
import type { Read, Reply } from "./wire.js";

export type Outcome = openapi.Reported;

/** Code of an outcome whose output is not on record: too large, or nothing that JSON can say. */
export const UNRECORDED = "output_unrecorded";
/** Longest text about an error that is reported, in characters. */
const SAID_MAX = 1000;
/** Length of an output that may be too large, and how often it may be cut off before it is left out. */
const LARGE = 1 << 20;
const CUTS_MAX = 3;

/** Request to the server. `waitsS`: how long it may wait for people; `token`: who asks. */
export interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly token: string | undefined;
  readonly body?: string;
  readonly waitsS?: number;
}

/** Outcome, output as JSON, code and words, as they are reported. */
export interface Report {
  readonly outcome: Outcome;
  readonly output?: string | undefined;
  readonly code?: string | undefined;
  readonly words?: string | undefined;
}

/** How a call is made: its id, and how long it waits for people. */
export interface Call {
  readonly name: string;
  readonly judged: Judged;
  readonly callId: string | undefined;
  readonly waitS: number;
}

/** Sends a request; waits where the server says that it has too much to do, which begins nothing. */
async function letIn(line: Line, request: Request): Promise<Reply> {
  const until = nowS() + limits.crowdS;
  for (let wait = 50; ; wait = Math.min(wait * 2, 1000)) {
    const reply = await line.send(request);
    if (reply.status !== 429) return reply;
    const said = wire.problem(reply);
    if (said.code !== "overloaded" || nowS() >= until) throw said;
    await pause(wait);
  }
}

/** Token that counts for a while; renewed in time by whoever comes first. */
async function fresh(line: Line, state: State, atOnce = false): Promise<string> {
  const due = atOnce || nowS() - state.sinceS > (state.livesS * 2) / 3;
  if (!due || state.renewing) return state.token;
  state.renewing = true;
  try {
    // By itself, so that what was revoked stays revoked; only one that has run out is renewed by the key.
    for (const bearer of state.owner ? [state.token, state.key] : [state.token]) {
      try {
        const reply = await letIn(line, { method: "POST", path: `/v1/runs/${state.run}/tokens`, token: bearer });
        state.take(wire.text(wire.expect(reply, 201), "token"));
        break;
      } catch (error) {
        // The one that is there may still count; whoever uses it is told.
        if (!(error instanceof AeclError) || error.code !== "token_expired") break;
      }
    }
    return state.token;
  } finally {
    state.renewing = false;
  }
}

/** Opens a run. Gives its state, and the id of the request about its plan, if people are asked. */
export async function openRun(
  line: Line,
  words: openapi.OpenRun,
): Promise<{ state: State; planApproval: string | undefined }> {
  const { key, owner } = line.at;
  const body = canonical(words);
  const reply = await letIn(line, { method: "POST", path: "/v1/runs", token: key, body, waitsS: words.wait_s ?? 0 });
  const of = wire.expect(reply, 201);
  const state = new State(wire.text(of, "run"), wire.text(of, "token"), key, owner);
  return { state, planApproval: wire.planApproval(of) };
}

/** Looks at a run with its token. */
export async function lookAtRun(line: Line, state: State): Promise<Read> {
  const token = await fresh(line, state);
  return wire.expect(await letIn(line, { method: "GET", path: `/v1/runs/${state.run}`, token }), 200);
}

/** Ends a run. Only whoever has opened it may. */
export async function closeRun(line: Line, state: State, reason: string): Promise<void> {
  const body = canonical({ reason: reason.toWellFormed() });
  const path = `/v1/runs/${state.run}/close`;
  wire.expect(await letIn(line, { method: "POST", path, token: state.key, body }), 200);
}

type Mode = openapi.Wanted;

async function propose(
  line: Line,
  state: State,
  call: Call,
  mode: Mode,
  key: string,
  waitsS: number,
  resume: boolean,
): Promise<wire.Answer> {
  const wait_s = Math.floor(waitsS);
  const head: Omit<openapi.Propose, "arguments"> = { action: call.name, idempotency_key: key, mode, resume, wait_s };
  // The text itself, not a copy that a writer has made of it.
  const body = `{"arguments":${call.judged.text},${canonical(head).slice(1)}`;
  for (const again of [false, true]) {
    const token = await fresh(line, state, again);
    const reply = await letIn(line, { method: "POST", path: "/v1/actions", token, body, waitsS });
    const renewed = !again && state.owner;
    // It has run out while this process slept; nothing was judged.
    if (reply.status === 401 && renewed && wire.problem(reply).code === "token_expired") continue;
    const said = wire.answer(reply);
    if (said.code === "token_expired" && renewed) continue;
    return said;
  }
  throw new Unauthorized("token_expired", "the run's token does not count any more");
}

/** Proposes, and waits as long as it may for people or for the first of two equal calls. */
async function settled(
  line: Line,
  state: State,
  call: Call,
  mode: Mode,
  key: string,
  resume: boolean,
): Promise<wire.Answer> {
  const until = nowS() + call.waitS;
  const waiting = `${call.name} ${call.judged.text}`;
  for (;;) {
    const left = Math.min(Math.max(until - nowS(), 0), limits.waitMaxS);
    const said = await propose(line, state, call, mode, key, left, resume);
    if (said.state === "pending") state.waiting.add(waiting);
    else state.waiting.delete(waiting);
    if ((said.state !== "pending" && said.state !== "started") || nowS() + 1 > until) return said;
    // A server may wait for less than it is asked to.
    await pause(200);
  }
}

/** Asks for leave to act. Gives it for these bytes, or what this call id came to before. */
export async function authorize(line: Line, state: State, call: Call): Promise<Leave | Done> {
  const said = await settled(line, state, call, "authorize", callKey(call.callId), false);
  return said.state === "permitted" ? leave(state, call, said) : ended(state, call, said);
}

/** Has AECL carry an action out. An answer that is lost is asked for again by the same key. */
export async function execute(line: Line, state: State, call: Call, resume: boolean): Promise<Done> {
  const key = callKey(call.callId);
  let lost: Unavailable | undefined;
  for (let attempt = 0; attempt < 4; attempt += 1) {
    let said: wire.Answer;
    try {
      said = await settled(line, state, call, "execute", key, resume);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (lost === undefined && !error.sent) throw error;
      lost ??= error;
      await pause(100 * 2 ** attempt);
      continue;
    }
    if (said.state === "permitted") throw wire.unreadable("a permit, and nobody has asked for one");
    return ended(state, call, said);
  }
  throw new Unknown("answer_lost", `\`${call.name}\` was sent, and no answer came: ${lost?.message ?? "nothing"}`, {
    hint: "look at the run (aecl log show RUN) before anything is repeated",
  });
}

function leave(state: State, call: Call, said: wire.Answer): Leave {
  const { action } = said;
  const of = wire.claims(said.permit ?? "");
  const expected = { aud: "aecl:permit", run: state.run, sub: state.agent, jti: action, action: call.name };
  for (const [claim, value] of Object.entries(expected)) {
    if (of[claim] !== value) {
      throw new Unavailable("permit_foreign", `the permit is for another \`${claim}\` than this call`, { action });
    }
  }
  if (of["arguments"] !== digest(call.judged.text)) {
    const why = `what was judged of \`${call.name}\` is not what this process would carry out`;
    const hint = "the catalogue fills in what is left out (`default`): name every argument in the call";
    throw new Invalid("arguments_differ", why, { hint, action });
  }
  return new Leave(action, call.name, call.judged, wire.lifetimeS(of));
}

function ended(state: State, call: Call, said: wire.Answer): Done {
  const { name, judged } = call;
  const { action, output, replayed } = said;
  switch (said.state) {
    case "done": {
      const done: Done = { action, name, arguments: judged.read(), output, replayed };
      if (said.code === UNRECORDED) throw recorded(done);
      return done;
    }
    case "failed":
      throw new Failed(said.code || "failed", said.message || `\`${name}\` failed`, { action });
    case "unknown":
      throw new Unknown(said.code || "unknown", said.message || `nobody knows what became of \`${name}\``, { action });
    case "started":
      throw new Underway("replayed", `\`${name}\` is underway under this call id`, { action });
    case "pending":
      if (said.approval !== undefined) throw held(state, call, said, said.approval);
      break;
    case "blocked":
    case "rejected":
      throw wire.refusal(said);
  }
  throw wire.unreadable(`state \`${said.state}\`, and nobody has asked for it`);
}

function held(state: State, call: Call, said: wire.Answer, asked: wire.Asked): Pending {
  const lines = [`${call.name} ${call.judged.text}`, "", "Asked because"];
  lines.push(...said.findings.filter((one) => one.verdict === "require_approval").map((one) => `  - ${one.message}`));
  lines.push("", `Answer at ${asked.url} until ${asked.expiresAt}`);
  const question = {
    approval: asked.id,
    url: asked.url,
    card: lines.join("\n"),
    expiresAt: asked.expiresAt,
    run: state.run,
    actionName: call.name,
    callId: call.callId,
    arguments: call.judged.read(),
    planHint: said.hint,
  };
  return new Pending(`\`${call.name}\` waits for a person; nothing was executed`, question, said.action);
}

/** Says what came of a permit, until it is on record. Throws `Unknown` where it cannot be. */
export async function report(line: Line, state: State, action: string, said: Report, triesS: number): Promise<void> {
  const until = nowS() + triesS;
  const path = `/v1/actions/${action}/outcome`;
  let now = said;
  let last = "nothing came back";
  let cuts = 0;
  let renew = false;
  for (let wait = 50; ;) {
    let reply: Reply | undefined;
    try {
      const token = await fresh(line, state, renew);
      reply = await line.send({ method: "POST", path, token, body: reportBody(now) });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      last = error.message;
      // A server that finds a body too large may cut it off before its answer has been read.
      if (error.sent && (now.output?.length ?? 0) > LARGE && (cuts += 1) === CUTS_MAX) now = without(now, last);
    }
    if (reply !== undefined) {
      if (reply.status === 200) return;
      const refused = wire.problem(reply);
      last = refused.message;
      if ((reply.status === 400 || reply.status === 413) && now.output !== undefined) {
        // It was done, and that counts more than what came out.
        now = without(now, last);
        continue;
      }
      if (reply.status === 401 && state.owner && !renew && refused.code === "token_expired") {
        // The token has run out while the function acted.
        renew = true;
        continue;
      }
      renew = false;
      if (reply.status === 409) return await standsAs(line, state, action, now.outcome, refused);
      if (reply.status >= 400 && reply.status < 500 && reply.status !== 429) {
        throw unreported("report_refused", action, now.outcome, last);
      }
    }
    if (nowS() + wait / 1000 >= until) throw unreported("report_lost", action, now.outcome, last);
    await pause(wait);
    wait = Math.min(wait * 2, 2000);
  }
}

/** The same report without its output, and why. */
function without(said: Report, why: string): Report {
  return { outcome: said.outcome, code: UNRECORDED, words: `the output could not be recorded: ${why}` };
}

/** An outcome stands already: ours, whose answer was lost, or another one. */
async function standsAs(line: Line, state: State, action: string, outcome: Outcome, error: AeclError): Promise<void> {
  let why = error.message;
  try {
    const reply = await letIn(line, { method: "GET", path: `/v1/actions/${action}`, token: state.token });
    const stands = wire.answer(reply).state;
    if (stands === outcome) return;
    why = `it stands as \`${stands}\` already`;
  } catch (unseen) {
    // It has acted: no error from here may say that nothing was executed.
    if (unseen instanceof Error) why = unseen.message;
  }
  throw unreported("report_refused", action, outcome, why);
}

function reportBody(said: Report): string {
  const { outcome, code, words } = said;
  const head = canonical({
    outcome,
    ...(code ? { code: code.slice(0, 64).toWellFormed() } : {}),
    ...(words ? { message: words.slice(0, SAID_MAX).toWellFormed() } : {}),
  } satisfies openapi.Report);
  return said.output === undefined ? head : `${head.slice(0, -1)},"output":${said.output}}`;
}

function unreported(code: string, action: string, outcome: Outcome, why: string): Unknown {
  const hint = `say so with \`aecl resolve ${action}\``;
  return new Unknown(code, `it ended as \`${outcome}\`, and that is not on record: ${why}`, { hint, action });
}

/** Error for whoever would act by hand, and needs not. */
export function recorded(done: Done): AlreadyDone {
  const { action, name, output } = done;
  const error = new AlreadyDone("replayed", `\`${name}\` was done before under this call id`, { action });
  error.output = output;
  return error;
}
