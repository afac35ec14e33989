/** Workers against the real server: what is carried out, once, and what the record says when somebody dies. */

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import * as aecl from "../src/index.js";
import { Worker, workerCall } from "../src/worker.js";
import { House, ROOT, Relay, aecl as command, ended, folder, lines, refused, worker } from "./house.js";

const text = { type: "string" };
const given = (...names: string[]) => ({
  arguments: { type: "object", properties: Object.fromEntries(names.map((name) => [name, text])), required: names },
  args: Object.fromEntries(names.map((name) => [name, { class: "content" }])),
});
const mild = {
  effect: "write",
  output: { untrusted: false, private: false },
  reversibility: "reversible",
  severity: 1,
  egress: "none",
  approval: { always: false },
};
const connector = { kind: "worker", queue_ms: 60_000, lease_ms: 2_000 };
const ACTIONS = [
  {
    ...mild,
    ...given("to", "amount"),
    name: "pay",
    description: "Pay somebody.",
    idempotency: "verifiable",
    timeout_ms: 3_000,
    connector,
    compensation: { action: "unpay", arguments: { transfer: { from: "result", at: "/id" } } },
  },
  { ...mild, ...given("transfer"), name: "unpay", description: "Call it back.", connector: { kind: "worker", compensates: "pay" } },
  { ...mild, ...given("to"), name: "give", description: "Give.", idempotency: "opaque", timeout_ms: 60_000, connector },
  {
    ...mild,
    ...given("name"),
    name: "rename",
    description: "Give a shelf another name.",
    connector,
    compensation: { action: "name_back", arguments: { name: { from: "result", at: "/snapshot/name" } } },
  },
  { ...mild, ...given("name"), name: "name_back", description: "As before.", connector: { kind: "worker", compensates: "rename" } },
  { ...mild, ...given("parcel"), name: "send_parcel", description: "Send it.", connector },
  { ...mild, ...given("to"), name: "nobody", description: "Nobody serves this.", connector: { kind: "worker", queue_ms: 200 } },
];
const SERVED = ["pay", "give", "rename"].flatMap((name) => ["--action", name]);

/** A worker as somebody would write it. At the step `AT` it says so, and goes on when it is told to. */
const SCRIPT = `
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
const bank = process.env.BANK;
const at = async (step) => {
  if (process.env.AT !== step) return;
  process.env.AT = "";
  console.log(step);
  await once(process.stdin, "data");
};
const paid = () => (existsSync(bank) ? readFileSync(bank, "utf8").split("\\n").filter(Boolean).map((line) => JSON.parse(line)) : []);
const put = (what) => appendFileSync(bank, JSON.stringify(what) + "\\n");
const worker = new work.Worker({ log: (said) => console.error(said) });
worker.register("pay", async ({ to, amount }) => {
  await at("before");
  const { key } = work.workerCall();
  put({ key, to, amount });
  await at("after");
  if (to === "nobody") throw new aecl.NotDone("there is no such account");
  return { id: key };
}, {
  compensate: ({ transfer }) => put({ back: transfer }),
  lookup: () => {
    const { key } = work.workerCall();
    if (!paid().some((one) => one.key === key)) throw new aecl.NotDone("the bank has no such transfer");
    return { id: key };
  },
  dryRun: ({ amount }) => ({ fee: amount }),
});
worker.register("give", async ({ to }) => {
  if (to === "somebody") throw new Error("the line broke");
  put({ to });
  await at("given");
  return "given";
});
let shelf = "old";
worker.register("rename", ({ name }) => { shelf = name; return "renamed"; }, {
  snapshot: () => ({ name: shelf }),
  compensate: ({ name }) => put({ was: shelf, is: (shelf = name) }),
});
console.log("begins");
await worker.run();
console.log("ended");
process.stdin.destroy();
`;

let house: House;
let token = "";
before(async () => {
  house = await House.started(undefined, ACTIONS);
  token = await key("works");
});

/** A new key of a worker, which the server knows by now. */
async function key(name: string, own = house): Promise<string> {
  const made = command("--dir", own.home, "keys", "add", "worker", name, ...SERVED).trim();
  await own.people("POST", "/v1/reload", {});
  return made;
}

interface Working {
  readonly process: ChildProcess;
  readonly says: () => Promise<string | undefined>;
  readonly bank: string;
}

/** A worker that is connected. */
async function working(more: { at?: string; bank?: string; url?: string; own?: House; token?: string } = {}): Promise<Working> {
  const own = more.own ?? house;
  const bank = more.bank ?? join(folder(), "bank");
  const environment = { AECL_URL: more.url ?? own.url, AECL_WORKER_TOKEN: more.token ?? token, BANK: bank, AT: more.at ?? "" };
  const process = worker(SCRIPT, environment, "ignore");
  const says = lines(process);
  assert.equal(await says(), "begins");
  await connected(own, (all) => all.length > 0 || process.exitCode !== null);
  assert.equal(process.exitCode, null, "the worker has ended");
  return { process, says, bank };
}

/** Waits until the workers that are ready are as wanted. */
async function connected(own: House, wanted: (all: unknown[]) => boolean): Promise<void> {
  for (;;) {
    const seen = await own.people("GET", "/v1/workers");
    if (wanted(seen.connected.filter((one: { state: string }) => one.state === "ready"))) return;
    await pause(20);
  }
}

function paid(bank: string): Record<string, string>[] {
  return existsSync(bank) ? readFileSync(bank, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
}

async function stops(one: Working): Promise<void> {
  await ended(one.process, "SIGTERM");
  await connected(house, (all) => all.length === 0);
}

test("a worker carries out what the agent has no key for, and undoes it", async () => {
  const one = await working();
  const run = await house.run();
  const done = await run.execute("pay", { to: "ann", amount: "9.50" });
  const [first] = paid(one.bank);
  assert.deepEqual([first?.["to"], done.output], ["ann", { id: first?.["key"] }]);
  await house.people("POST", `/v1/actions/${(await house.last(run.id)).action}/rollback`, { reason: "a mistake" });
  assert.equal(paid(one.bank)[1]?.["back"], first?.["key"]);
  const renamed = await run.execute("rename", { name: "new" });
  assert.deepEqual(renamed.output, { output: "renamed", snapshot: { name: "old" } });
  await house.people("POST", `/v1/actions/${(await house.last(run.id)).action}/rollback`, { reason: "a mistake" });
  assert.deepEqual(paid(one.bank)[2], { was: "new", is: "old" });
  await stops(one);
});

test("without a worker it is not executed", async () => {
  const run = await house.run();
  const failed = await refused(aecl.Failed, () => run.execute("nobody", { to: "ann" }));
  assert.equal(failed.code, "worker_unavailable");
});

test("what an error of a worker means", async () => {
  const one = await working();
  const run = await house.run();
  await refused(aecl.Failed, () => run.execute("pay", { to: "nobody", amount: "1" }));
  await refused(aecl.Unknown, () => run.execute("give", { to: "somebody" }));
  await stops(one);
});

test("a worker that dies after it has acted is found out by another, and nothing is done twice", async () => {
  const one = await working({ at: "after" });
  const run = await house.run();
  const asked = run.execute("pay", { to: "ann", amount: "1" }).catch((error: unknown) => error);
  assert.equal(await one.says(), "after");
  await ended(one.process, "SIGKILL");
  const other = await working({ bank: one.bank });
  await asked;
  const action = (await house.entries(run.id, "started")).at(-1).action;
  for (;;) {
    const { state } = await house.action(action);
    if (state === "done") break;
    assert.ok(["started", "unknown"].includes(state), state);
    await pause(100);
  }
  assert.equal(paid(one.bank).length, 1);
  await stops(other);
});

test("a server that dies after it has handed over takes the report of its worker afterwards", async () => {
  const own = await House.started(undefined, ACTIONS);
  const one = await working({ own, at: "given", token: await key("works", own) });
  const run = await own.run();
  const asked = run.execute("give", { to: "ann" }).catch((error: unknown) => error);
  assert.equal(await one.says(), "given");
  await own.kill();
  await own.start();
  await asked;
  const action = (await own.entries(run.id, "started")).at(-1).action;
  one.process.stdin?.write("go\n");
  for (;;) {
    const { state } = await own.action(action);
    if (state === "done") break;
    assert.ok(state === "unknown" || state === "started", state);
    await pause(50);
  }
  assert.equal(paid(one.bank).length, 1);
  await ended(one.process, "SIGTERM");
});

for (const what of ["accept", "report"]) {
  for (const lost of ["request", "answer"] as const) {
    test(`a network that is cut at the ${lost} of its ${what} loses nothing, and does nothing twice`, async () => {
      const relay = await Relay.before(house);
      let times = 0;
      const first = (path: string): boolean => path.endsWith(`/${what}`) && times++ === 0;
      if (lost === "request") relay.dropRequest = first;
      else relay.dropAnswer = first;
      const one = await working({ url: relay.url });
      const run = await house.run();
      const done = await run.execute("pay", { to: "ann", amount: "1" }).catch((error: unknown) => error as aecl.AeclError);
      const bank = paid(one.bank);
      if (what === "accept" && lost === "answer") {
        // It was handed over once, and nobody has it: nothing was done.
        assert.ok(bank.length <= 1, JSON.stringify(bank));
      } else {
        assert.deepEqual([bank.length, (done as aecl.Done).output], [1, { id: bank[0]?.["key"] }]);
      }
      while (times === 0) await pause(10);
      await stops(one);
    });
  }
}

test("a worker that is told to end ends what it has, and takes nothing new", async () => {
  const one = await working({ at: "before" });
  const run = await house.run();
  const asked = run.execute("pay", { to: "ann", amount: "1" });
  assert.equal(await one.says(), "before");
  one.process.kill("SIGTERM");
  await connected(house, (all) => all.length === 0);
  const other = run.execute("pay", { to: "ben", amount: "2" });
  one.process.stdin?.write("go\n");
  const first = await asked;
  assert.equal(await one.says(), "ended");
  const next = await working();
  await other;
  assert.deepEqual([paid(one.bank).length, paid(next.bank).length], [1, 1]);
  assert.ok(first.output);
  await stops(next);
});

test("a key that does not count, a server of somebody else, and what the key is not for, end it with words", async () => {
  const foreign = await House.started(undefined, ACTIONS);
  const one = new Worker({ url: house.url, token: await key("foreign", foreign), log: () => undefined });
  one.register("pay", () => "x");
  await refused(aecl.Unauthorized, () => one.run());
  const two = new Worker({ url: house.url, token, log: () => undefined });
  two.register("nobody", () => "x");
  await refused(aecl.Unauthorized, () => two.run());
  const signer = token.slice(0, token.indexOf("."));
  const three = new Worker({ url: house.url, token: `${signer}.${(await key("foreign-2", foreign)).split(".")[1]}`, log: () => undefined });
  three.register("pay", () => "x");
  await refused(aecl.Unauthorized, () => three.run());
  for (const bad of [house.key, house.operator, "aecl_w_x", `${signer}.AAAA`, "aecl_w_\n"]) {
    assert.throws(() => new Worker({ token: bad }), aecl.Unauthorized, bad);
  }
  await refused(aecl.Invalid, () => new Worker({ url: house.url, token }).run());
  assert.throws(() => workerCall(), aecl.Invalid);
});

test("the process of an agent that has the library and a run's token takes no work", async () => {
  const run = await house.run();
  const one = await working();
  for (const [path, body] of [
    ["connect", { instance: "i".repeat(20), nonce: "n".repeat(20), serves: { pay: ["perform"] }, slots: 1 }],
    ["accept", { instance: "i".repeat(20), delivery: "del_x", nonce: "n".repeat(20) }],
    ["report", { instance: "i".repeat(20), permit: "a.b.c", outcome: "done", message: "" }],
  ] as const) {
    for (const credential of [run.token, house.key]) {
      const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
      const reply = await fetch(`${house.url}/v1/workers/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      assert.equal(reply.status, 403, path);
    }
  }
  await stops(one);
});

test("the guide runs as it stands", async () => {
  const page = readFileSync(join(ROOT, "docs/guides/workers.md"), "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(page)?.[1] ?? assert.fail("no code");
  const made = command("--dir", house.home, "keys", "add", "worker", "carrier", "--action", "send_parcel").trim();
  await house.people("POST", "/v1/reload", {});
  const script = code.replace(/^import .* from "@aecl\/sdk\/worker";$/m, "const { Worker, workerCall } = work;");
  const one = worker(script, { AECL_URL: house.url, AECL_WORKER_TOKEN: made });
  await connected(house, (all) => all.length > 0);
  const { output } = await (await house.run()).execute("send_parcel", { parcel: "7" });
  assert.equal((output as { id: string }).id, "sent-7");
  await ended(one, "SIGTERM");
});
