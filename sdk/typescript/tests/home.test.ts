/** Without a server: the home of this directory is served, by one process for all. */

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";

import { program } from "../src/home.js";
import * as aecl from "../src/index.js";
import { aecl as command, bare, endsElsewhere, ended, lines, refused, servedBy, worker } from "./house.js";

const RUN = { agent: "assistant", goal: "Look at the invoices." };
const SCRIPT = `
  const read = aecl.guard("read_invoice", () => "950.00");
  await aecl.openRun(${JSON.stringify(RUN)}, async () => {
    console.log(await read({ invoice: "2026-118" }));
    await new Promise((resolve) => process.stdin.once("data", resolve));
  });
  process.exit();`;

let project: string;
const { AECL_BIN, PATH } = process.env;

beforeEach(() => {
  Object.assign(process.env, { AECL_BIN, PATH });
  project = bare();
});

function init(): string {
  command("init", "--example", "finance");
  return command("home").trim();
}

test("a home is served by one process for all", async () => {
  const home = init();
  const workers = [worker(SCRIPT), worker(SCRIPT)];
  assert.deepEqual(await Promise.all(workers.map((one) => lines(one)())), ["950.00", "950.00"]);
  const by = servedBy(home);
  workers.push(worker(SCRIPT));
  assert.equal(await lines(workers[2] ?? assert.fail())(), "950.00");
  assert.equal(servedBy(home), by);
  for (const one of workers) one.stdin?.write("end\n");
  assert.deepEqual(await Promise.all(workers.map((one) => ended(one))), [0, 0, 0]);
  // The server is no child of anybody's that ends with them: a question outlives who has asked it.
  process.kill(Number(by), 0);
});

test("a server that was killed is started again", async () => {
  const home = init();
  const run = await aecl.openRun(RUN);
  const read = run.guard("read_invoice", (_: { invoice: string }) => "950.00");
  assert.equal(await read({ invoice: "2026-118" }), "950.00");
  const before = servedBy(home);
  await endsElsewhere(Number(before), "SIGKILL");
  assert.equal(await read({ invoice: "2026-119" }), "950.00");
  assert.notEqual(servedBy(home), before);
});

test("each directory has its own home, also in one process", async () => {
  init();
  const first = await aecl.openRun(RUN);
  bare();
  const homeless = await refused(aecl.Unavailable, () => aecl.openRun(RUN));
  assert.equal(homeless.code, "home_missing");
  init();
  const second = await aecl.openRun(RUN);
  await refused(aecl.AeclError, () => aecl.resume({ token: first.token }));
  assert.equal((await aecl.resume({ token: second.token })).id, second.id);
});

test("no home, no program: no action", async () => {
  const homeless = await refused(aecl.Unavailable, () => aecl.openRun(RUN));
  assert.deepEqual([homeless.code, homeless.sent], ["home_missing", false]);
  assert.match(String(homeless), /aecl init/);
  process.env["AECL_BIN"] = join(project, "nothing");
  assert.equal((await refused(aecl.Unavailable, () => aecl.openRun(RUN))).code, "binary_missing");
  // A folder is no program, whoever may enter it.
  process.env["AECL_BIN"] = project;
  assert.equal((await refused(aecl.Unavailable, () => aecl.openRun(RUN))).code, "binary_missing");
  delete process.env["AECL_BIN"];
  process.env["PATH"] = project;
  assert.match((await refused(aecl.Unavailable, () => aecl.openRun(RUN))).message, /PATH/);
});

test("the program that came along goes before the path", async () => {
  delete process.env["AECL_BIN"];
  const [beside, onPath] = [join(project, "bin/aecl"), join(project, "aecl")];
  mkdirSync(join(project, "bin"));
  for (const path of [beside, onPath]) writeFileSync(path, "#!/bin/sh\n");
  process.env["PATH"] = project;
  await refused(aecl.Unavailable, () => program(beside));
  chmodSync(onPath, 0o755);
  assert.equal(await program(beside), onPath);
  chmodSync(beside, 0o755);
  assert.equal(await program(beside), beside);
});

test("a home that cannot be served says why", async () => {
  const home = init();
  writeFileSync(join(home, "aecl.yaml"), "nonsense: true\n");
  const broken = await refused(aecl.Unavailable, () => new aecl.Client({ directory: home }).openRun(RUN));
  assert.equal(broken.code, "server_unreachable");
  assert.match(broken.message, /nonsense/);
});
