/** Types as a user meets them, in the sources and in the package as it is installed. Nobody runs this. */

import { guard, openRun, Pending, resume } from "../src/index.js";
import type { Done, Permit, Run } from "../src/index.js";

interface Transfer {
  to: string;
  amount: string;
  currency?: string;
}

const pay = guard("transfer_funds", async ({ to }: Transfer) => ({ id: to }));
const paid: Promise<{ id: string }> = pay({ to: "vendor-7", amount: "1.00" });
const once: Promise<{ id: string }> = pay.once("call-1", { waitS: 5 })({
  to: "vendor-7",
  amount: "1.00",
  currency: "EUR",
});
// @ts-expect-error an argument that is missing
void pay({ to: "vendor-7" });
// @ts-expect-error an argument that nobody knows
void pay({ to: "vendor-7", amount: "1.00", note: "a" });
// @ts-expect-error a value of another type
void pay({ to: "vendor-7", amount: 1 });
// @ts-expect-error what stands behind the arguments
void pay({ to: "vendor-7", amount: "1.00" }, "more");
// @ts-expect-error an id that is no text
void pay.once(7);
// @ts-expect-error a function takes one object
guard("transfer_funds", (to: string) => to);

const tag = guard("tag_note", ({ tag }: { text: string; tag: string }) => tag, { defaults: { tag: "plain" } });
const tagged: Promise<string> = tag({ text: "a" });
void tag({ text: "a", tag: "b" });
// @ts-expect-error only what has a default may be left out
void tag({ tag: "b" });
// @ts-expect-error a default of another type
guard("tag_note", ({ tag }: { text: string; tag: string }) => tag, { defaults: { tag: 5 } });
// @ts-expect-error an option that is misspelt
guard("tag_note", ({ tag }: { text: string; tag: string }) => tag, { wait: 60 });
guard("tag_note", (_: { text: string }) => 1, {
  lookup: ({ text }) => text.length,
  compensate: (done: Done) => done.output,
});
// @ts-expect-error a look-up gives what the function would have
guard("tag_note", (_: { text: string }) => 1, { lookup: ({ text }) => text });

const beside = guard("write_note", (_: { text: string }, session: Map<string, string>) => session.size, {
  unjudged: true,
});
const size: Promise<number> = beside({ text: "a" }, new Map());
// @ts-expect-error what the function wants beside its arguments
void beside({ text: "a" });

const ring = guard("ring_twice", () => true);
const rung: Promise<boolean> = ring({});

async function runs(): Promise<void> {
  const run: Run = await openRun({ agent: "clerk", goal: "Look after the shop." });
  const length: number = await openRun({ agent: "clerk", goal: "a" }, async (own) => own.id.length);
  const state: string = await resume({ token: run.token }, async (own) => (await own.look()).state);
  const permit: Permit = await run.action("write_note", { text: "a" }, { callId: "one" });
  const said: number = await run.action("write_note", { text: "a" }, () => 5, { waitS: 1 });
  // @ts-expect-error a run without a goal
  await openRun({ agent: "clerk" });
  // @ts-expect-error what is the library's own
  await run.authorize("write_note");
  const transfer: Transfer = { to: "vendor-7", amount: "1.00" };
  await run.execute("transfer_funds", transfer);
  // @ts-expect-error a list of arguments has no names
  await run.execute("write_note", ["a"]);
  void [length, state, permit, said];
}

function errors(error: unknown): string {
  return error instanceof Pending ? error.approval + error.url + error.forModel : String(error);
}

void [paid, once, tagged, size, rung, runs, errors];
