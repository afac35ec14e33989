/// <reference lib="esnext.disposable" preserve="true" />

/**
 * AECL for TypeScript: ask before a tool acts.
 *
 *     import { guard, openRun } from "@aecl/sdk";
 *
 *     const readInvoice = guard("read_invoice", async ({ invoice }: { invoice: string }) => { … });
 *
 *     await openRun({ agent: "assistant", goal: "Pay the invoices that are due." }, async () => {
 *       await readInvoice({ invoice: "2026-118" });
 *     });
 *
 * A guarded function is called only with a permit of AECL for exactly its arguments; what came out is reported.
 * Whatever goes wrong is an `AeclError`, and means that it does not happen. docs/guides/typescript.md has the whole.
 */

import { Client } from "./client.js";
import type { OpenOptions, ResumeOptions } from "./client.js";
import { guarded } from "./guard.js";
import type { GuardFunction, Run } from "./run.js";

export { Client } from "./client.js";
export type { OpenOptions, ResumeOptions } from "./client.js";
export * from "./errors.js";
export type { Given, GuardOptions, Guarded } from "./guard.js";
export type { Permit } from "./permit.js";
export type { Arguments, CallOptions, ExecuteOptions, GuardFunction, Run } from "./run.js";
export type { Done } from "./state.js";

/** Clients of the functions below, by what they go by: the environment, and the directory. */
const clients = new Map<string, Client>();

function client(): Client {
  const names = ["AECL_URL", "AECL_TOKEN", "AECL_DIR", "AECL_BIN", "HOME", "XDG_DATA_HOME"];
  const by = JSON.stringify([process.cwd(), ...names.map((name) => process.env[name] ?? null)]);
  let found = clients.get(by);
  if (found === undefined) clients.set(by, (found = new Client()));
  return found;
}

/** Guards a function in whatever run it is called: that of the innermost `openRun(…, function)`. See `Run.guard`. */
export const guard: GuardFunction = ((name: never, fn: never, options: never) =>
  guarded(undefined, name, fn, options)) as GuardFunction;

/** Opens a run: one task of one agent. See `Client.openRun`. */
export function openRun(options: OpenOptions): Promise<Run>;
export function openRun<T>(options: OpenOptions, body: (run: Run) => T | Promise<T>): Promise<T>;
export async function openRun<T>(options: OpenOptions, body?: (run: Run) => T | Promise<T>): Promise<T | Run> {
  return body === undefined ? await client().openRun(options) : await client().openRun(options, body);
}

/** Goes on with a run that another process has opened. See `Client.resume`. */
export function resume(options?: ResumeOptions): Promise<Run>;
export function resume<T>(options: ResumeOptions, body: (run: Run) => T | Promise<T>): Promise<T>;
export async function resume<T>(options: ResumeOptions = {}, body?: (run: Run) => T | Promise<T>): Promise<T | Run> {
  return body === undefined ? await client().resume(options) : await client().resume(options, body);
}
