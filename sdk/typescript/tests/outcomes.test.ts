/** What came of it: done, failed, unknown, and never silence. */

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import * as aecl from "../src/index.js";
import type { Run } from "../src/index.js";
import { limits } from "../src/state.js";
import { House, Relay, ended, lines, refused, worker } from "./house.js";

interface Note {
  text: string;
}

class TimeoutError extends Error {
  override name = "TimeoutError";
}

describe("an outcome", () => {
  let house: House;
  let run: Run;

  before(async () => {
    house = await House.started();
    run = await house.run();
  });

  /** State and code of what was concluded last. */
  async function came(of: Run = run): Promise<[string, string]> {
    const last = await house.last(of.id);
    return [last.state, last.code];
  }

  test("an error is unknown unless it says that nothing happened", async () => {
    const surelyFailed = (error: unknown): boolean => (error as { code?: string }).code === "ECONNREFUSED";
    const fails = (error: unknown) =>
      run.guard(
        "write_note",
        (_: Note) => {
          throw error;
        },
        { surelyFailed },
      );
    await refused(TimeoutError, () => fails(new TimeoutError("the bank is silent"))({ text: "a" }));
    assert.deepEqual(await came(), ["unknown", "TimeoutError"]);
    assert.match((await house.last(run.id)).message, /the bank is silent/);
    await refused(aecl.NotDone, () => fails(new aecl.NotDone("no such account"))({ text: "b" }));
    assert.deepEqual(await came(), ["failed", "NotDone"]);
    await refused(Error, () => fails(Object.assign(new Error("nobody"), { code: "ECONNREFUSED" }))({ text: "c" }));
    assert.deepEqual(await came(), ["failed", "Error"]);
    for (const thrown of ["a text", undefined, null, { name: 5 }, Object.create(null)]) {
      await assert.rejects(fails(thrown)({ text: "d" }), (error) => error === thrown);
      assert.deepEqual((await came())[0], "unknown");
    }
    const odd = Object.assign(new Error("\ud800".repeat(2000)), { name: "no code\n" });
    await refused(Error, () => fails(odd)({ text: "e" }));
    assert.deepEqual(await came(), ["unknown", "Error"]);
  });

  test("unknown is never repeated, and failed stays failed", async () => {
    const tried: string[] = [];
    const write = run.guard("write_note", ({ text }: Note) => {
      tried.push(text);
      throw text === "a" ? new TimeoutError() : new aecl.NotDone("the disk is full");
    });
    await refused(TimeoutError, () => write.once("one")({ text: "a" }));
    assert.match((await refused(aecl.Unknown, () => write.once("one")({ text: "a" }))).forModel, /Do not repeat/);
    await refused(aecl.NotDone, () => write.once("two")({ text: "b" }));
    assert.match((await refused(aecl.Failed, () => write.once("two")({ text: "b" }))).message, /the disk is full/);
    assert.deepEqual(tried, ["a", "b"]);
  });

  test("a look-up finds out", async () => {
    const books = new Map<string, string>();
    const write = run.guard(
      "write_note",
      ({ text }: Note): { id: string } => {
        if (text === "arrives") books.set(text, "n-1");
        throw new TimeoutError();
      },
      {
        lookup: async ({ text }) => {
          if (text === "is unclear") throw new TimeoutError("no answer");
          const id = books.get(text);
          if (id === undefined) throw new aecl.NotDone(text);
          return { id };
        },
      },
    );
    assert.deepEqual(await write({ text: "arrives" }), { id: "n-1" });
    assert.deepEqual((await house.last(run.id)).output, { id: "n-1" });
    await refused(TimeoutError, () => write({ text: "is lost" }));
    assert.equal((await came())[0], "failed");
    await refused(TimeoutError, () => write({ text: "is unclear" }));
    assert.equal((await came())[0], "unknown");
    assert.match((await house.last(run.id)).message, /could not be looked up: .*no answer/);
  });

  test("an action by hand ends as it says, and as unknown if it says nothing", async () => {
    const silent = await run.action("write_note", { text: "a" }, (permit) => permit.action);
    assert.equal((await house.action(silent)).code, "nothing_said");
    await refused(RangeError, () =>
      run.action("write_note", { text: "b" }, () => {
        throw new RangeError("half done");
      }),
    );
    assert.deepEqual(await came(), ["unknown", "RangeError"]);
    await run.action("write_note", { text: "c" }, (permit) => permit.failed("no paper"));
    assert.deepEqual(await came(), ["failed", "failed"]);
    await run.action("write_note", { text: "d" }, (permit) => permit.unknown("who knows"));
    assert.deepEqual(await came(), ["unknown", "unknown"]);
    // What was said before something else threw stands.
    await refused(RangeError, () =>
      run.action("write_note", { text: "e" }, (permit) => {
        permit.done();
        throw new RangeError("while tidying up");
      }),
    );
    assert.equal((await came())[0], "done");
  });

  test("a permit that is held by `using` ends with its scope", async () => {
    let held: aecl.Permit;
    {
      await using permit = await run.action("write_note", { text: "a" });
      permit.done({ id: 1 });
      held = permit;
    }
    assert.deepEqual((await house.action(held.action)).output, { id: 1 });
    assert.throws(() => held.arguments, aecl.Unavailable);
    assert.throws(() => held.done(), aecl.Unavailable);
    {
      await using permit = await run.action("write_note", { text: "b" });
      held = permit;
    }
    assert.equal((await house.action(held.action)).code, "nothing_said");
  });

  test("the end of a process reports what nobody has", async () => {
    const own = await house.run();
    const ways = {
      "process.exit": "process.exit(0)",
      "nothing more to do": "process.stdin.destroy()",
      "an error that nobody catches": "setImmediate(() => { throw new Error() })",
    };
    for (const [name, way] of Object.entries(ways)) {
      const script = `
        const run = await aecl.resume();
        // Not awaited: the program ends in the middle of an action.
        const write = run.guard("write_note", () => { console.log("acting"); ${way}; return new Promise(() => {}); });
        void write({ text: "a" });`;
      const process = worker(script, { AECL_URL: house.url, AECL_TOKEN: own.token }, "ignore");
      assert.equal(await lines(process)(), "acting");
      await ended(process);
      assert.deepEqual(await came(own), ["unknown", "process_ended"], name);
    }
    assert.equal((await house.entries(own.id, "concluded")).length, 3);
  });

  test("an output that cannot be recorded is done all the same", async () => {
    const gives = (value: unknown) => run.guard("write_note", (_: Note) => value);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const values: unknown[] = [
      new Map(),
      Number.NaN,
      () => 1,
      { at: [undefined] },
      Buffer.from("a"),
      cycle,
      2n ** 53n,
      [-(2 ** 53)],
      1e21,
    ];
    // The server cuts off what is too large, sooner or later than its answer is read.
    values.push(..."12345678".split("").map((digit) => digit.repeat(5 << 20)));
    for (const [index, value] of values.entries()) {
      const once = gives(value).once(`unrecorded-${index}`);
      assert.equal(await once({ text: "a" }), value);
      assert.deepEqual(await came(), ["done", "output_unrecorded"]);
      await refused(aecl.AlreadyDone, () => once({ text: "a" }));
    }
  });

  test("what was recorded comes back as it was", async () => {
    const values: [unknown, unknown][] = [
      [undefined, undefined],
      // What is nothing in JSON has one form there.
      [null, undefined],
      [
        { small: 5n, least: -(2 ** 53 - 1), zero: -0 },
        { small: 5, least: -(2 ** 53 - 1), zero: 0 },
      ],
      [[0.1 + 0.2, 5e-324, -0.5, 123456789.12345679, 2 ** 53 - 1], undefined],
      [{ 'tea "\\\b\u0001\u2028é😀': [true, false, null, "", {}] }, undefined],
      [JSON.parse('{"__proto__":1,"constructor":2}'), undefined],
      [{ on: new Date(0), left: undefined }, { on: "1970-01-01T00:00:00.000Z" }],
      [{ huge: "x".repeat(1 << 20) }, undefined],
    ];
    for (const [index, [value, other]] of values.entries()) {
      const expected = value === null ? undefined : (other ?? value);
      const once = run.guard("write_note", (_: Note) => value).once(`recorded-${index}`);
      assert.deepEqual(await once({ text: "a" }), value);
      assert.deepEqual(await once({ text: "a" }), expected);
      assert.equal((await came())[0], "done");
    }
    const dated = run
      .guard("write_note", (_: Note) => new Date(0), { decode: (text: string) => new Date(text) })
      .once("date");
    assert.deepEqual([await dated({ text: "a" }), await dated({ text: "a" })], [new Date(0), new Date(0)]);
    const kept = run
      .guard("write_note", (_: Note) => new Set(["a"]), {
        encode: (set) => [...set],
        decode: (list: string[]) => new Set(list),
      })
      .once("set");
    assert.deepEqual([await kept({ text: "a" }), await kept({ text: "a" })], [new Set(["a"]), new Set(["a"])]);
  });

  test("a report whose answer or request is lost is sent again", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    const done: string[] = [];
    const write = own.guard("write_note", ({ text }: Note) => done.push(text));
    let lost = 0;
    const once = (path: string): boolean => path.endsWith("/outcome") && (lost += 1) === 1;
    relay.dropAnswer = once;
    assert.equal(await write({ text: "a" }), 1);
    [lost, relay.dropAnswer, relay.dropRequest] = [0, () => false, once];
    assert.equal(await write({ text: "b" }), 2);
    assert.deepEqual(done, ["a", "b"]);
    assert.equal((await came(own))[0], "done");
    assert.equal(relay.seen.filter(({ path }) => path.endsWith("/outcome")).length, 4);
  });

  test("an output that is cut off each time is left out, and what was done is on record", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    relay.dropRequest = (path, body) => path.endsWith("/outcome") && body.length > 1 << 20;
    const output = "x".repeat(2 << 20);
    assert.equal(await own.guard("write_note", (_: Note) => output)({ text: "a" }), output);
    assert.deepEqual(await came(own), ["done", "output_unrecorded"]);
  });

  test("a report that never arrives is said", async () => {
    const relay = await Relay.before(house);
    const own = await house.run(relay.url);
    relay.dropRequest = (path) => path.endsWith("/outcome");
    const triesS = limits.reportS;
    limits.reportS = 0.5;
    try {
      const unknown = await refused(aecl.Unknown, () => own.guard("write_note", (_: Note) => "written")({ text: "a" }));
      assert.equal(unknown.code, "report_lost");
      // What was done is not lost with the news of it.
      assert.equal(unknown.output, "written");
      assert.ok(unknown.action !== undefined && String(unknown).includes(unknown.action));
      assert.doesNotMatch(unknown.forModel, /Nothing was executed/);
      const fails = (): never => {
        throw new RangeError("b");
      };
      const calls = [
        () => own.guard("write_note", fails)({ text: "b" }),
        () => own.action("write_note", { text: "b" }, fails),
      ];
      for (const call of calls) assert.ok((await refused(aecl.Unknown, call)).cause instanceof RangeError);
      await refused(aecl.Unknown, () => own.action("write_note", { text: "c" }, (permit) => permit.done()));
    } finally {
      limits.reportS = triesS;
    }
  });
});
