#!/usr/bin/env node
/**
 * The command `aecl`: the program that came along for this kind of machine, in the place of this process where Node.js
 * can do that, and otherwise as its child.
 */

import { spawn } from "node:child_process";

import { PACKAGE, packaged } from "./home.js";

const path = packaged();
const words = process.argv.slice(2);
if (path === undefined) {
  console.error(
    `error: the package ${PACKAGE} with the program is not here\n` +
      "hint: `npm install` without `--omit=optional` brings it, where there is one for this kind of machine; " +
      "the archives and docs/reference/packages.md say for which there is",
  );
  process.exit(127);
}

type Execve = (file: string, words: readonly string[], env: NodeJS.ProcessEnv) => never;
const { execve } = process as { execve?: Execve };
execve?.call(process, path, ["aecl", ...words], process.env);

const child = spawn(path, words, { stdio: "inherit", argv0: "aecl" });
// A terminal tells both of us; twice would mean something else to it.
for (const told of ["SIGINT", "SIGQUIT"] as const) process.on(told, () => {});
for (const passed of ["SIGTERM", "SIGHUP"] as const) process.on(passed, () => child.kill(passed));
child.on("error", (error) => {
  console.error(`error: cannot start \`${path}\`: ${error.message}`);
  process.exit(126);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
