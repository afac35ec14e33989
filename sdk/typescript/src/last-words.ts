/** Program that reports the permits of a process that has ended; `exit.ts` starts it. */

import { readFileSync } from "node:fs";

import type { LastWords } from "./exit.js";
import { report } from "./flow.js";
import { State, limits } from "./state.js";
import { Line } from "./transport.js";

const said = {
  outcome: "unknown",
  code: "process_ended",
  words: "the process ended before it said what came of it",
} as const;

await Promise.all(
  (JSON.parse(readFileSync(0, "utf8")) as LastWords[]).map(async ({ action, at, run, token }) => {
    const line = new Line(at);
    try {
      await report(line, new State(run, token, at.key, at.owner), action, said, limits.endS);
    } catch (error) {
      process.stderr.write(`${action}: what came of it could not be reported: ${String(error)}\n`);
    } finally {
      line.close();
    }
  }),
);
