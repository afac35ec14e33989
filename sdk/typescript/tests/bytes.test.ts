/** Laws of the bytes: one form for each value, the same in both libraries, and nothing is lost when they are read. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { canonical, digest, recordable } from "../src/json.js";
import { callKey } from "../src/key.js";
import { readJson } from "../src/read.js";

const ROOT = process.env["AECL_ROOT"] ?? assert.fail("AECL_ROOT has to name the checkout");

/** Numbers that look random and are the same each time. */
function* dice(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

const TEXTS = [
  "",
  "a",
  "é",
  "ﬀ",
  "\u20ac",
  "😀",
  "\ufb33",
  "\u0080",
  "\r\n\t\b\f",
  '"\\/',
  "\u0001\u001f\u007f",
  "\u2028\u2029",
  "__proto__",
];

/** Value of some depth. */
function value(die: Generator<number, never>, depth: number): unknown {
  const next = (): number => die.next().value;
  const pick = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)] as T;
  const kind = Math.floor(next() * (depth > 3 ? 6 : 9));
  switch (kind) {
    case 0:
      return pick([null, true, false]);
    case 1:
      return Math.floor((next() - 0.5) * 2 ** Math.floor(next() * 54)) || 0;
    case 2:
      return (next() - 0.5) * 10 ** Math.floor(next() * 16) || 0;
    case 3:
      return next() * 10 ** -Math.floor(next() * 320);
    case 4:
    case 5:
      return pick(TEXTS) + pick(TEXTS);
    case 6:
      return Array.from({ length: Math.floor(next() * 5) }, () => value(die, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: Math.floor(next() * 5) }, () => [pick(TEXTS) + pick(TEXTS), value(die, depth + 1)]),
      );
  }
}

const die = dice(20261125);
const values = Array.from({ length: 2000 }, () => value(die, 0));

test("what is written is read back as it was, by both readers", () => {
  for (const one of values) {
    const text = canonical(one);
    assert.deepEqual(readJson(text), one);
    assert.deepEqual(JSON.parse(text), one);
    assert.equal(canonical(readJson(text)), text);
    assert.deepEqual(readJson(` ${JSON.stringify(one, null, 2)}\n`), one);
    assert.deepEqual(readJson(recordable(one)), one);
  }
});

test("both libraries write the same bytes, and know a call by the same key", () => {
  const ids = ["call-1", "toolu_01", "call_ü/1", "a b", "x".repeat(200), "x".repeat(201), "😀", "\u007f", "~!"];
  const script = `
import json, sys
from aecl import _flow, _json
given = json.load(sys.stdin)
texts = [_json.canonical(one).decode() for one in given["values"]]
json.dump([texts, [_flow.call_key(one)[0] for one in given["ids"]]], sys.stdout)
`;
  const env = { ...process.env, PYTHONPATH: join(ROOT, "sdk/python/src"), PYTHONDONTWRITEBYTECODE: "1" };
  const said = spawnSync("python3", ["-c", script], {
    input: JSON.stringify({ values, ids }),
    encoding: "utf8",
    env,
    maxBuffer: 1 << 26,
  });
  assert.equal(said.status, 0, said.stderr);
  assert.deepEqual(JSON.parse(said.stdout), [values.map((one) => canonical(one)), ids.map((one) => callKey(one))]);
});

test("a digest is that of the bytes", () => {
  assert.equal(digest("{}"), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
});

test("a text that has no single meaning is not read", () => {
  const wrong = [
    ...[
      "",
      " ",
      "nul",
      "nulll",
      "True",
      "NaN",
      "Infinity",
      "-",
      "01",
      "1.",
      ".5",
      "1e",
      "+1",
      "0x1",
      "1e400",
      "-1e400",
    ],
    ...[
      '"',
      '"\\x"',
      '"\\u12g4"',
      '"\\ud800"',
      '"\n"',
      "'a'",
      "[",
      "[1",
      "[1,]",
      "[,1]",
      "[1 2]",
      "{",
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
    ],
    ...[
      "{a:1}",
      '{"a":1 "b":2}',
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      "1 1",
      "[]]",
      "\ufeff1",
      "1\u00a0",
      "// a",
      "[".repeat(200),
    ],
  ];
  for (const text of wrong) assert.throws(() => readJson(text), SyntaxError, text);
  for (const text of wrong) {
    // Whatever else there is a mistake in, nothing here is stricter by chance than it says.
    const loose = /^(-?1e400|"\\ud800"|\{"a":1,"(a|\\u0061)":.\}|\[\[.*)$/.test(text);
    if (!loose) assert.throws(() => JSON.parse(text), SyntaxError, text);
  }
});

test("a whole number that a number cannot hold is a bigint", () => {
  const read: [string, unknown][] = [
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", 9007199254740992n],
    ["-9007199254740993", -9007199254740993n],
    ["1234567890123456789012345678901234567890", 1234567890123456789012345678901234567890n],
    ["1e21", 1e21],
    ["-0", -0],
  ];
  for (const [text, expected] of read) assert.ok(Object.is(readJson(text), expected), text);
});
