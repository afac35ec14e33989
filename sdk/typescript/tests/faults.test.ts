/** Faults of real processes and connections: whatever breaks, it does not happen, or it is said. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { before, describe, test } from "node:test";

import * as aecl from "../src/index.js";
import type { Run } from "../src/index.js";
import { limits } from "../src/state.js";
import { claims } from "../src/wire.js";
import { AGENT, GOAL, House, Relay, ended, ending, folder, lines, refused, worker } from "./house.js";

interface Note {
  text: string;
}

const never = (_: Note): never => assert.fail("it was not permitted");
const echo = ({ text }: Note): string => text;

/** A port that takes connections and says nothing. */
async function silent(): Promise<{ url: string; close: () => void }> {
  const server = createServer(() => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const close = (): void => void server.close();
  ending(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

describe("without a server", () => {
  test("nobody listens: no action", async () => {
    const { url, close } = await silent();
    close();
    const client = new aecl.Client({ url, token: "aecl_o_any" });
    const gone = await refused(aecl.Unavailable, () => client.openRun({ agent: AGENT, goal: GOAL }));
    assert.deepEqual([gone.code, gone.sent], ["server_unreachable", false]);
    assert.match(gone.forModel, /Nothing was executed/);
  });

  test("somebody listens and never answers: no action", async () => {
    const { url } = await silent();
    const client = new aecl.Client({ url, token: "aecl_o_any" });
    const { answerS } = limits;
    limits.answerS = 0.3;
    try {
      const hung = await refused(aecl.Unavailable, () => client.openRun({ agent: AGENT, goal: GOAL }));
      assert.equal(hung.sent, true);
    } finally {
      limits.answerS = answerS;
    }
    client.close();
  });

  test("what is no address is no server", async () => {
    for (const url of [
      "127.0.0.1:7600",
      "ftp://127.0.0.1",
      "http://",
      "",
      "http://a:b@127.0.0.1",
      "http://127.0.0.1/?a=b",
    ]) {
      await refused(aecl.Invalid, () => new aecl.Client({ url }).openRun({ agent: AGENT, goal: GOAL }));
    }
  });
});

describe("a server that dies", () => {
  let house: House;

  before(async () => {
    house = await House.started();
  });

  test("before the permit", async () => {
    const run = await house.run();
    await house.kill();
    await refused(aecl.Unavailable, () => run.guard("write_note", never)({ text: "a" }));
    await refused(aecl.Unavailable, () => run.action("write_note", { text: "a" }, never as never));
    await house.start();
    // The same run goes on; nothing of what was not answered is on record.
    assert.equal((await run.look()).calls, 0);
    assert.equal(await run.guard("write_note", echo)({ text: "b" }), "b");
  });

  test("between permit and report", async () => {
    const run = await house.run();
    const done: string[] = [];
    const write = run.guard("write_note", async ({ text }: Note) => {
      await house.kill();
      done.push(text);
      await house.start();
      return "written";
    });
    assert.equal(await write.once("one")({ text: "a" }), "written");
    assert.equal(await write.once("one")({ text: "a" }), "written");
    assert.deepEqual(done, ["a"]);
  });

  test("while people are asked", async () => {
    const run = await house.run();
    const pay = run
      .guard("transfer_funds", (_: { to: string; amount: string; currency: string }) => "paid")
      .once("one");
    const given = { to: "vendor-1", amount: "5.00", currency: "EUR" };
    const held = await refused(aecl.Pending, () => pay(given));
    await house.kill();
    await house.start();
    await house.yes(held.approval);
    assert.equal(await pay(given), "paid");
  });

  test("while this process was busy and heard nothing of it", async () => {
    const run = await house.run();
    const write = run.guard("write_note", echo);
    assert.equal(await write({ text: "a" }), "a");
    // Another server stands there before this process has looked up once.
    house.replaced();
    // The end of the connection has come, and nobody has looked.
    const until = performance.now() + 1100;
    while (performance.now() < until);
    assert.equal(await write({ text: "b" }), "b");
  });
});

describe("a fault on the way", () => {
  let house: House;
  let run: Run;

  before(async () => {
    house = await House.started();
    run = await house.run();
  });

  for (const lost of ["dropRequest", "dropAnswer"] as const) {
    test(`a proposal that is lost does not happen (${lost})`, async () => {
      const relay = await Relay.before(house);
      const own = await house.run(relay.url);
      relay[lost] = (path) => path === "/v1/actions";
      await refused(aecl.Unavailable, () => own.guard("write_note", never)({ text: "a" }));
      // It is not tried again behind the caller's back.
      assert.equal(relay.seen.filter(({ path }) => path === "/v1/actions").length, 1);
    });
  }

  test("an execution whose answer is lost is asked for again and done once", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    let lost = 0;
    relay.dropAnswer = (path) => path === "/v1/actions" && (lost += 1) === 1;
    assert.equal((await own.execute("count_stock", { thing: "tea" })).replayed, true);
    assert.equal((await house.entries(own.id, "started")).length, 1);
    relay.dropAnswer = (path) => path === "/v1/actions";
    assert.equal((await refused(aecl.Unknown, () => own.execute("count_stock", { thing: "tea" }))).code, "answer_lost");
  });

  test("what the server says that it has not begun is no lost answer", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    for (const [status, code] of [
      [503, "ledger_unavailable"],
      [429, "refusals_exhausted"],
    ] as const) {
      const body = JSON.stringify({ type: "about:blank", title: "a", status, detail: "not now", code });
      relay.change = () => ({ status, body, kind: "application/problem+json" });
      const before = relay.seen.length;
      const error = await refused(aecl.Unavailable, () => own.execute("count_stock", { thing: "tea" }));
      assert.deepEqual([error.code, error.sent, relay.seen.length - before], [code, false, 1]);
    }
  });

  const changes: Record<string, [status: number | undefined, old: string, put: string]> = {
    "an unknown field": [undefined, '{"action":', '{"condition":"only on Mondays","action":'],
    "a field that every object has": [undefined, '{"action":', '{"constructor":"only on Mondays","action":'],
    "a doubled field": [undefined, '"state":"permitted"', '"state":"blocked","state":"permitted"'],
    "an unknown state": [undefined, '"state":"permitted"', '"state":"granted"'],
    "done in place of a permit": [undefined, '"state":"permitted"', '"state":"done"'],
    "another action in the answer": [undefined, '"action":"act_', '"action":"act_x'],
    "a wrong type": [undefined, '"state":"permitted"', '"replayed":1,"state":"permitted"'],
    "a number beyond all": [undefined, '"state":"permitted"', '"output":1e400,"state":"permitted"'],
    "a status of its own": [206, "", ""],
    "a status of another state": [202, "", ""],
    "a redirection": [303, "", ""],
    "half an answer": [undefined, '"state":"permitted"', '"state":"permitted'],
    "something behind it": [undefined, '{"action":', '{} {"action":'],
    "a mark in front of it": [undefined, '{"action":', '\ufeff{"action":'],
    "no JSON": [undefined, "{", "<"],
    "an error of something in between": [502, "", ""],
  };
  for (const [name, [status, old, put]] of Object.entries(changes)) {
    test(`an answer that is not understood permits nothing: ${name}`, async () => {
      const relay = await Relay.before(house);
      const own = await house.run(relay.url);
      relay.change = (path, was, body) => {
        if (path !== "/v1/actions") return { status: was, body };
        assert.ok(body.includes(old));
        return { status: status ?? was, body: body.replace(old, put) };
      };
      const error = await refused(aecl.Unavailable, () => own.guard("write_note", never)({ text: "a" }));
      assert.ok(["answer_unreadable", "permit_foreign"].includes(error.code), error.code);
    });
  }

  test("an answer that is longer or shorter than it says permits nothing", async () => {
    const own = await house.run();
    const relay = await Relay.before(house);
    const cut = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () =>
        socket.end("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}"),
      );
    });
    await once(cut.listen(0, "127.0.0.1"), "listening");
    ending(() => cut.close());
    const client = new aecl.Client({ url: `http://127.0.0.1:${(cut.address() as AddressInfo).port}` });
    await refused(aecl.Unavailable, () => client.resume({ token: own.token }));
    assert.equal(relay.seen.length, 0);
  });

  test("a permit of another call permits nothing", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    let first: string | undefined;
    relay.change = (path, status, body) => ({ status, body: path === "/v1/actions" ? (first ??= body) : body });
    assert.equal(await own.guard("write_note", echo)({ text: "harmless" }), "harmless");
    const other = await refused(aecl.AeclError, () => own.guard("write_note", never)({ text: "evil" }));
    assert.equal(other.code, "arguments_differ");
  });

  test("a permit that has run out is not used, and surely nothing has happened", async () => {
    const own = await house.run();
    const real = performance.now;
    // A minute passes each time that somebody looks, as when a machine sleeps.
    let looks = 0;
    const asleep = async <T>(call: () => T): Promise<Awaited<T>> => {
      performance.now = () => real.call(performance) + (looks += 1) * 61_000;
      try {
        return await call();
      } finally {
        performance.now = real;
      }
    };
    const late = await asleep(() => refused(aecl.Unavailable, () => own.guard("write_note", never)({ text: "a" })));
    assert.equal(late.code, "permit_late");
    const last = await house.last(own.id);
    assert.deepEqual([last.state, last.message], ["failed", `Unavailable: ${late.message}`]);
    await own.action("write_note", { text: "b" }, async (permit) => {
      await asleep(() => assert.throws(() => permit.arguments, { code: "permit_late" }));
      permit.failed("too late");
    });
    // What another call of the function was too late for says nothing about this one.
    const within = own.guard(
      "write_note",
      async (_: Note) => await asleep(() => own.guard("write_note", never)({ text: "c" })),
    );
    await refused(aecl.Unavailable, () => within({ text: "d" }));
    assert.equal((await house.last(own.id)).state, "unknown");
  });

  test("credentials that are missing or wrong", async () => {
    const nobody = new aecl.Client({ url: house.url });
    const missing = await refused(aecl.Unauthorized, () => nobody.openRun({ agent: AGENT, goal: GOAL }));
    assert.equal(missing.code, "token_missing");
    assert.match(String(missing), /keys add orchestrator/);
    await refused(aecl.Unauthorized, () => nobody.resume({ run: run.id }));
    await refused(aecl.Unauthorized, () => nobody.resume({ run: run.id, token: "nonsense" }));
    await refused(aecl.Invalid, () => nobody.resume({ run: "run_other", token: run.token }));
    const [head, body] = run.token.split(".");
    const token = `${head}.${body}.${"A".repeat(86)}`;
    const forged = await refused(aecl.Unauthorized, () => nobody.resume({ run: run.id, token }));
    assert.equal(forged.code, "token_invalid");
    assert.match(forged.page, /^https:/);
    for (const key of ["aecl_o_a\n", "aecl_o_é"]) {
      const broken = new aecl.Client({ url: house.url, token: key });
      await refused(aecl.Invalid, () => broken.openRun({ agent: AGENT, goal: GOAL }));
    }
    for (const token of [`${run.token}\n`, `${run.token}.a`, `é${run.token}`]) {
      await refused(aecl.Unauthorized, () => nobody.resume({ token }));
    }
    const stranger = new aecl.Client({ url: house.url, token: "aecl_o_nonsense" });
    await refused(aecl.Unauthorized, () => stranger.openRun({ agent: AGENT, goal: GOAL }));
    const unknown = await refused(aecl.AeclError, () => house.client().openRun({ agent: "nobody", goal: GOAL }));
    assert.ok(["agent_unknown", "forbidden"].includes(unknown.code));
    // Whoever has only the token of a run does not end it.
    const other = await nobody.resume({ token: run.token });
    await other.close();
    assert.equal((await run.look()).state, "open");
  });

  test("a closed run does nothing more", async () => {
    const own = await house.run();
    await own.close();
    const closed = await refused(aecl.Closed, () => own.guard("write_note", never)({ text: "a" }));
    assert.equal(closed.code, "run_closed");
    assert.match(closed.forModel, /stop here/);
    await refused(aecl.Closed, () => own.execute("count_stock", { thing: "tea" }));
  });

  test("the end of the function closes its run, also with an error, and not while something waits", async () => {
    const client = house.client();
    const ended = async (body: (opened: Run) => Promise<unknown>): Promise<string> => {
      let own: Run | undefined;
      const kept = async (opened: Run): Promise<unknown> => body((own = opened));
      await client.openRun({ agent: AGENT, goal: GOAL }, kept).catch(() => undefined);
      return (await house.people("GET", `/v1/runs/${own?.id}`)).state;
    };
    assert.equal(await ended((opened) => opened.guard("write_note", echo)({ text: "a" })), "closed");
    assert.equal(await ended(() => Promise.reject(new RangeError("a"))), "closed");
    const pay = { to: "vendor-1", amount: "5.00", currency: "EUR" };
    assert.equal(await ended((opened) => opened.execute("transfer_funds", pay)), "open");
    // The step that waits is one of another run, and will be run again with this one.
    assert.equal(await ended(async () => (await house.run()).execute("transfer_funds", pay)), "open");
    const caught = (opened: Run): Promise<unknown> => opened.execute("transfer_funds", pay).catch(() => "later");
    assert.equal(await ended(caught), "open");
  });

  test("an unknown action is blocked, and a near name is told", async () => {
    const unknown = await refused(aecl.Blocked, () => run.execute("write_notes", { text: "a" }));
    assert.equal(unknown.code, "action_unknown");
    assert.match(unknown.forModel, /write_note/);
  });

  test("three processes with one call act once", async () => {
    const book = join(folder(), "book");
    const script = `
      import { appendFileSync } from "node:fs";
      import { once } from "node:events";
      const run = await aecl.resume({ waitS: 60 });
      const write = run.guard("write_note", ({ text }) => {
        appendFileSync(process.env.BOOK, text);
        return process.pid;
      });
      console.log("ready");
      await once(process.stdin, "data");
      console.log(await write.once("one")({ text: "a" }));
      process.exit();`;
    const environment = { AECL_URL: house.url, AECL_TOKEN: run.token, BOOK: book };
    const workers = [1, 2, 3].map(() => worker(script, environment));
    const says = workers.map(lines);
    assert.deepEqual(await Promise.all(says.map((line) => line())), ["ready", "ready", "ready"]);
    for (const one of workers) one.stdin?.write("go\n");
    assert.equal(new Set(await Promise.all(says.map((line) => line()))).size, 1);
    assert.equal(readFileSync(book, "utf8"), "a");
    await Promise.all(workers.map((one) => ended(one)));
  });

  test("a clock that is wrong stops nothing and revives nothing", async () => {
    const real = Date.now;
    try {
      Date.now = () => real() + 3_600_000;
      const own = await house.run();
      assert.equal(await own.guard("write_note", echo)({ text: "a" }), "a");
      Date.now = () => real() - 3_600_000;
      assert.equal(await own.guard("write_note", echo)({ text: "b" }), "b");
    } finally {
      Date.now = real;
    }
  });

  /** Calls something after so much of a token's life has passed. */
  async function aged<T>(share: number, call: () => Promise<T>): Promise<T> {
    const real = performance.now.bind(performance);
    performance.now = () => real() + share * 900_000;
    try {
      return await call();
    } finally {
      performance.now = real;
    }
  }

  test("a token that was revoked is not renewed behind anybody's back", async () => {
    const own = await house.run();
    const token = claims(own.token)["jti"];
    const note = own.guard("write_note", async ({ text }: Note) => {
      await house.people("POST", `/v1/runs/${own.id}/tokens/${token}/revoke`, { reason: "stolen" });
      return text;
    });
    // It was done, and the token that would say so is gone: that is no silence, and no lie.
    const unsaid = await refused(aecl.Unknown, () => note({ text: "a" }));
    assert.deepEqual([unsaid.code, unsaid.output], ["report_refused", "a"]);
    for (const share of [0, 0.9, 1.1]) {
      const revoked = await refused(aecl.AeclError, () =>
        aged(share, () => own.guard("write_note", never)({ text: "b" })),
      );
      assert.equal(revoked.code, "token_revoked");
      assert.equal(claims(own.token)["jti"], token);
    }
  });

  test("tokens are renewed before they end, once for all who call", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    const first = own.token;
    const write = own.guard("write_note", echo);
    await aged(0.9, () => Promise.all(["a", "b", "c"].map((text) => write({ text }))));
    assert.notEqual(own.token, first);
    assert.equal(relay.seen.filter(({ path }) => path.endsWith("/tokens")).length, 1);
    // Without a key, by the run's own token.
    const other = await new aecl.Client({ url: house.url }).resume({ token: own.token });
    assert.equal(await aged(1.8, () => other.guard("write_note", echo)({ text: "d" })), "d");
    assert.notEqual(other.token, own.token);
  });
});
