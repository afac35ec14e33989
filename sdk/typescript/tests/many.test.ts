/** Many at once, and frameworks that call twice. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as aecl from "../src/index.js";
import { House } from "./house.js";

test("a thousand at once keep an exact budget", async () => {
  // 1.00 EUR each, 700.00 EUR a day: 700 are done and 300 are refused, whoever comes first.
  const house = await House.started("700.00");
  const run = await house.run();
  let spent = 0;
  const spend = run.guard("spend", async ({ amount }: { amount: string; currency: string }) => {
    spent += 1;
    await Promise.resolve();
    return { spent: amount };
  });
  const one = async (index: number): Promise<string> => {
    const given = { amount: "1.00", currency: "EUR" };
    try {
      const first = await spend.once(`call-${index}`)(given);
      // A tenth of them again, as frameworks do it.
      if (index % 10 === 0) assert.deepEqual(await spend.once(`call-${index}`)(given), first);
    } catch (error) {
      if (error instanceof aecl.Blocked) return error.code;
      throw error;
    }
    return "done";
  };
  const came = await Promise.all(Array.from({ length: 1000 }, (_, index) => one(index)));
  assert.deepEqual([...new Set(came)].sort(), ["budget_exceeded", "done"]);
  assert.deepEqual([came.filter((word) => word === "done").length, spent], [700, 700]);
});
