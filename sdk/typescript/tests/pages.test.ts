/** The pages as they stand, and the package as it is installed: what they show is run. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";

import { AeclError, LOCAL_CODES, Refused } from "../src/errors.js";
import * as aecl from "../src/index.js";
import { BIN, House, ROOT, aecl as command, bare, endsElsewhere, ending, folder, servedBy } from "./house.js";

const PACKAGE = join(ROOT, "sdk/typescript");
const README = readFileSync(join(PACKAGE, "README.md"), "utf8");
const GUIDE = readFileSync(join(ROOT, "docs/guides/typescript.md"), "utf8");
const TSC = process.env["AECL_TSC"] ?? assert.fail("AECL_TSC has to name the compiler");
const NOBODY = 65534;

/** A project into which the package was installed, and nothing else. */
let project: string;

/** Code blocks of a page. */
function blocks(page: string, kind: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\`$`, "gms"))].map((found) => found[1] ?? "");
}

function run(program: string, words: string[], how: { cwd: string; env?: NodeJS.ProcessEnv }): string {
  const ended = spawnSync(program, words, { encoding: "utf8", ...how, timeout: 120_000 });
  assert.equal(ended.status, 0, `${program} ${words.join(" ")}\n${ended.stdout}\n${ended.stderr}`);
  return ended.stdout;
}

before(() => {
  const room = folder();
  run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", room], { cwd: PACKAGE });
  const [packed] = readdirSync(room);
  project = join(room, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "type": "module", "private": true }\n');
  run("npm", ["install", "--silent", "--offline", "--no-audit", "--no-fund", join(room, packed ?? "")], {
    cwd: project,
  });
});

/** Compiles examples as strictly as there is, without what the package does not bring. */
function compiled(examples: Record<string, string>, types: readonly string[]): string[] {
  for (const [name, text] of Object.entries(examples)) writeFileSync(join(project, name), text);
  const config = {
    compilerOptions: {
      ...{ target: "ES2022", module: "NodeNext", strict: true, exactOptionalPropertyTypes: true, noEmitOnError: true },
      ...{ skipLibCheck: false, types, typeRoots: [join(dirname(TSC), "../../@types")] },
    },
    files: Object.keys(examples),
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config));
  run(process.execPath, [TSC, "-p", "."], { cwd: project });
  return Object.keys(examples).map((name) => join(project, name.replace(/ts$/, "js")));
}

/** What the quickstart has to print; the page leaves out which file of the policy says so. */
function held(said: string): void {
  const shown = said.replace(/ \(policy `[^`]*`\)/g, "");
  assert.ok(shown.startsWith(blocks(README, "text")[0] ?? "?"), shown);
}

test("the package has what it needs, and nothing else", () => {
  const installed = join(project, "node_modules/@aecl/sdk");
  assert.deepEqual(readdirSync(installed).sort(), ["README.md", "dist", "package.json"]);
  assert.deepEqual(readdirSync(join(project, "node_modules")), [".bin", ".package-lock.json", "@aecl"]);
  const sources = readdirSync(join(PACKAGE, "src")).map((name) => name.replace(/\.ts$/, ""));
  const wanted = sources.flatMap((name) => [`${name}.d.ts`, `${name}.js`]);
  assert.deepEqual(readdirSync(join(installed, "dist")).sort(), wanted.sort());
  const of = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { dependencies?: unknown };
  assert.equal(of.dependencies, undefined);
  const uses = readFileSync(join(PACKAGE, "tests/types.ts"), "utf8");
  compiled({ "types.ts": uses.replaceAll("../src/index.js", "@aecl/sdk") }, []);
});

test("the quickstart holds a call", () => {
  const [script = ""] = compiled({ "quickstart.ts": blocks(README, "ts")[0] ?? "" }, []);
  bare();
  command("init", "--example", "finance");
  held(run(process.execPath, [script], { cwd: process.cwd() }));
});

test("an ordinary user installs it and has the call held", (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root can become another user, and everybody else is one");
  const [script = ""] = compiled({ "quickstart.ts": blocks(README, "ts")[0] ?? "" }, []);
  const own = folder();
  const [user, work, bin] = [join(own, "user"), join(own, "user/project"), join(own, "bin")];
  for (const at of [user, work, bin]) mkdirSync(at);
  for (const at of [own, user, work]) chownSync(at, NOBODY, NOBODY);
  // Programs may stand where only root looks.
  const programs = { aecl: BIN, node: process.execPath };
  for (const [name, program] of Object.entries(programs)) {
    try {
      linkSync(realpathSync(program), join(bin, name));
    } catch {
      copyFileSync(program, join(bin, name));
    }
  }
  const copied = join(work, "quickstart.js");
  copyFileSync(script, copied);
  run("cp", ["-r", join(project, "node_modules"), join(project, "package.json"), work], { cwd: work });
  run("chown", ["-R", `${NOBODY}:${NOBODY}`, work], { cwd: work });
  const env = { PATH: `${bin}:${process.env["PATH"]}`, HOME: user };
  const as = (...words: string[]): string => {
    const whole = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--no-new-privs", ...words];
    return run("setpriv", whole, { cwd: work, env });
  };
  as("aecl", "init", "--example", "finance");
  const home = as("aecl", "home").trim();
  ending(() => endsElsewhere(Number(servedBy(home))));
  held(as("node", copied));
});

test("the examples of the guide run", async () => {
  const house = await House.started();
  const examples = blocks(GUIDE, "ts").map((text, index) => [`example_${index}.ts`, text]);
  assert.ok(examples.length >= 4);
  const env = { ...process.env, AECL_URL: house.url, AECL_TOKEN: house.key };
  for (const script of compiled(Object.fromEntries(examples) as Record<string, string>, ["node"])) {
    run(process.execPath, [script], { cwd: project, env });
  }
});

test("what `aecl gen typescript` writes is typed as the catalogue is, and acts", async () => {
  const house = await House.started();
  const used = `
    import { openRun } from "@aecl/sdk";
    import { countStock, guardWriteNote } from "./actions.js";
    await openRun({ agent: "clerk", goal: "Write down what is out of stock." }, async (run) => {
      const counted: string = (await countStock(run, { thing: "tea" })).action;
      const written = await guardWriteNote(run, ({ text, times }) => text.length + (times ?? 0))({ text: counted });
      console.log(written satisfies number);
    });`;
  const actions = command("--dir", house.home, "gen", "typescript");
  const [, script = ""] = compiled({ "actions.ts": actions, "used.ts": used }, ["node"]);
  const env = { ...process.env, AECL_URL: house.url, AECL_TOKEN: house.key };
  assert.match(run(process.execPath, [script], { cwd: project, env }), /^\d+\n$/);
  for (const wrong of ["countStock(run, { thing: 5 })", "countStock(run, {})", "countStock(run, { thing: '', x: 1 })"]) {
    const misused = used.replace('countStock(run, { thing: "tea" })', wrong);
    assert.throws(() => compiled({ "actions.ts": actions, "used.ts": misused }, ["node"]), /used\.ts/, wrong);
  }
});

test("every code and every error of the library has its place in the guide", () => {
  const described = [...GUIDE.matchAll(/^### `(\w+)`$/gm)].map((found) => found[1]);
  assert.deepEqual(described.sort(), [...LOCAL_CODES].sort());
  const table = new Set([...GUIDE.matchAll(/^\| `(\w+)` \|/gm)].map((found) => found[1]));
  for (const [name, kind] of Object.entries(aecl)) {
    if (typeof kind !== "function" || !(kind.prototype instanceof AeclError) || (kind as unknown) === Refused) continue;
    assert.ok(table.has(name), name);
  }
});
