/** A worker that is killed, as the record has it: the server's own lease ends it as unknown. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as aecl from "../src/index.js";
import { House, ended, lines, refused, worker } from "./house.js";

test("a worker that is killed between permit and report ends as unknown, and is not repeated", async () => {
  const house = await House.started();
  const run = await house.run();
  const script = `
    const run = await aecl.resume();
    await run.guard("write_note", () => { console.log("acting"); return new Promise(() => process.stdin.resume()); })
      .once("one")({ text: "a" });`;
  const killed = worker(script, { AECL_URL: house.url, AECL_TOKEN: run.token });
  assert.equal(await lines(killed)(), "acting");
  await ended(killed, "SIGKILL");
  const never = (_: { text: string }): never => assert.fail("it may have happened");
  const write = run.guard("write_note", never);
  // The server waits for a report that can still come; until then it counts as underway.
  await refused(aecl.Underway, () => write.once("one")({ text: "a" }));
  // The same step again waits for what becomes of the first, which is known once the lease is over.
  const unknown = await refused(aecl.Unknown, () => write.once("one", { waitS: 150 })({ text: "a" }));
  assert.equal(unknown.code, "no_report");
});
