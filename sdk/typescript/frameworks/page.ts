/** The pages of the adapters, run as they stand. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "../tests/house.js";
import type { House } from "../tests/house.js";

/** A page: its guide, the module that is the reader's own, and the package that it names with its version. */
export interface Page {
  readonly guide: string;
  readonly shop: string;
  readonly package: string;
}

/** Its first block begins and is held, and after the yes the second one goes on, each in a process of its own. */
export async function runs(house: House, page: Page): Promise<void> {
  const text = readFileSync(join(ROOT, `docs/guides/${page.guide}.md`), "utf8");
  const block = (kind: string) => [...text.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\`$`, "gms"))].map((one) => one[1] ?? "");
  const folder = join(ROOT, "sdk/typescript/frameworks/build/frameworks", page.guide);
  mkdirSync(folder, { recursive: true });
  const sources = { "shop.ts": page.shop, "begins.ts": block("ts")[0] ?? "", "goes_on.ts": block("ts")[1] ?? "" };
  const local = (code: string) =>
    code.replace(/"@aecl\/sdk\/([a-z-]+)"/g, '"../../src/$1.js"').replaceAll('"@aecl/sdk"', '"../../src/index.js"');
  for (const [name, code] of Object.entries(sources)) writeFileSync(join(folder, name), local(code));
  const tsc = process.env["AECL_TSC"] ?? assert.fail("AECL_TSC has to name the compiler");
  const types = ["--types", "node", "--typeRoots", join(tsc, "../../../@types"), "--strict", "--skipLibCheck"];
  const words = [tsc, "--ignoreConfig", "--module", "nodenext", "--target", "es2023", ...types, ...Object.keys(sources)];
  const run = (...given: string[]): string => {
    const env = { ...process.env, AECL_URL: house.url, AECL_TOKEN: house.key };
    const ended = spawnSync(process.execPath, given, { cwd: folder, encoding: "utf8", env, timeout: 60_000 });
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    return ended.stdout;
  };
  run(...words);
  const waiting = async (): Promise<string[]> =>
    ((await house.people("GET", "/v1/approvals")).approvals as { id: string }[]).map(({ id }) => id);
  const before = await waiting();
  const said = run("begins.js").replace(/ \(policy `[^`]*`\)/g, "");
  assert.ok(said.startsWith(block("text")[0] ?? "?"), said);
  const [asked] = (await waiting()).filter((id) => !before.includes(id));
  await house.yes(asked ?? assert.fail());
  assert.equal(run("goes_on.js"), "It was paid: tr-1.\n");
  const tried = JSON.parse(readFileSync(join(ROOT, "sdk/typescript/frameworks/package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  assert.ok(text.includes(`${page.package} ${tried.devDependencies[page.package]}`), `the version of ${page.package}`);
}
