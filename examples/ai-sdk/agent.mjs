/**
 * An agent of the AI SDK that pays a vendor. Run again, it goes on from the messages that it has kept, in a new process.
 *
 *     node agent.mjs DIRECTORY      keeps the messages, the ticket of the run and the bank's book in there
 *
 * The model is a script, so nothing here needs a network; a real one goes in its place.
 */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Pending, openRun, resume } from "@aecl/sdk";
import { guarded } from "@aecl/sdk/ai";
import { generateText, isStepCount, jsonSchema, tool } from "ai";
import { MockLanguageModelV4 } from "ai/test";

const room = process.argv[2];
const [kept, book] = [join(room, "kept.json"), join(room, "book")];

const tools = {
  transfer_funds: tool({
    description: "Transfer money to a vendor.",
    inputSchema: jsonSchema({ type: "object" }),
    execute: ({ to, amount, currency }) => {
      appendFileSync(book, `${amount} ${currency} to ${to}\n`);
      return { id: "tr-1" };
    },
  }),
};

/** Model that pays, then reads what came of it. */
const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const result = prompt.flatMap(({ content }) => content).find(({ type }) => type === "tool-result");
    const input = JSON.stringify({ to: "vendor-7", amount: "950.00", currency: "EUR" });
    const said = result
      ? { type: "text", text: `The model has read: ${JSON.stringify(result.output.value)}` }
      : { type: "tool-call", toolCallId: "call-1", toolName: "transfer_funds", input };
    const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
    return { content: [said], finishReason: { unified: result ? "stop" : "tool-calls" }, usage, warnings: [] };
  },
});

/** The messages, with an answer to what the SDK asks for. It says that it is time to look again; the yes that counts is in AECL. */
function answered(messages) {
  const asked = messages.flatMap(({ content }) => content).filter(({ type }) => type === "tool-approval-request");
  const content = asked.map(({ approvalId }) => ({ type: "tool-approval-response", approvalId, approved: true }));
  return [...messages, { role: "tool", content }];
}

const before = existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : undefined;
const run = before
  ? await resume({ token: before.token })
  : await openRun({ agent: "assistant", goal: "Pay the invoices that are due." });
const words = [{ role: "user", content: "Pay vendor-7 950 EUR." }];
let held = "";
const own = guarded(tools, { run, onPending: ({ approval }) => (held = approval) });
try {
  const messages = before ? answered(before.messages) : words;
  const { text, response } = await generateText({ model, messages, stopWhen: isStepCount(5), ...own });
  if (held) {
    // For this program, and never for the model: whoever has it may propose in this run.
    writeFileSync(kept, JSON.stringify({ token: run.token, messages: [...words, ...response.messages] }), { mode: 0o600 });
    console.log("held", held);
  } else console.log("ended", text);
} catch (still) {
  if (!(still instanceof Pending)) throw still;
  console.log("held", still.approval);
}
process.exit();
