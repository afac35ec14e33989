/** Each claim of a permit for a worker is looked at. */

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";

import { digest } from "../src/json.js";
import { Key, NotFollowed, Verifier, now } from "../src/leave.js";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519").privateKey;
const raw = (publicKey.export({ format: "der", type: "spki" }) as Buffer).subarray(12).toString("base64url");
const key = Key.of(`aecl_w_${"x".repeat(43)}.${raw}`);
const offer = { delivery: "del_1", action: "pay", function: "perform" };
const ARGUMENTS = '{"amount":"1","to":"ann"}';

function token(claims: object, header: object = {}, by = privateKey): string {
  const parts = [{ alg: "EdDSA", typ: "aecl-work+jwt", ...header }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const body = parts.join(".");
  return `${body}.${sign(null, Buffer.from(body), by).toString("base64url")}`;
}

function claims(change: object = {}): Record<string, unknown> {
  return {
    iss: "shop", aud: "aecl:work", sub: "works", instance: "process", nonce: "nonce", jti: "del_1", iat: 100, exp: 115,
    call: "act_1", action: "pay", serves: "pay", function: "perform", arguments: digest(ARGUMENTS), key: "k",
    timeout_ms: 1000, lease_ms: 2000, ...change,
  };
}

function followed(permit: unknown, text: unknown = ARGUMENTS, verifier = new Verifier(key, "process"), since = now()) {
  return verifier.leave({ permit, arguments: text }, { issuer: "shop", name: "works", offer, nonce: "nonce", since });
}

test("a permit for this is followed, once", () => {
  const verifier = new Verifier(key, "process");
  const leave = followed(token(claims()), ARGUMENTS, verifier);
  assert.deepEqual([leave.read(), leave.key, leave.leaseS], [{ amount: "1", to: "ann" }, "k", 2]);
  assert.throws(() => followed(token(claims()), ARGUMENTS, verifier), NotFollowed);
  // The same action, delivered anew.
  const again = { permit: token(claims({ jti: "del_2" })), arguments: ARGUMENTS };
  const asked = { issuer: "shop", name: "works", offer: { ...offer, delivery: "del_2" }, nonce: "nonce", since: now() };
  assert.throws(() => verifier.leave(again, asked), /followed before/);
});

test("a permit that is for anything else is not followed", () => {
  const others: Record<string, unknown> = {
    iss: "x", aud: "aecl:permit", sub: "x", instance: "x", nonce: "x", jti: "x", serves: "x", function: "lookup",
    arguments: digest("{}"), call: 7, action: "", key: null, lease_ms: "1", iat: 1.5, exp: 100,
  };
  for (const [claim, value] of Object.entries(others)) {
    assert.throws(() => followed(token(claims({ [claim]: value }))), NotFollowed, claim);
    const without = claims();
    delete without[claim];
    assert.throws(() => followed(token(without)), NotFollowed, `without ${claim}`);
  }
});

test("what is signed by others, otherwise, or not at all is not followed", () => {
  const good = token(claims());
  const [head, body, signature] = good.split(".") as [string, string, string];
  const bits = Buffer.from(signature, "base64url");
  bits[63] = (bits[63] ?? 0) ^ 1;
  const permits = [
    token(claims(), {}, other),
    token(claims(), { alg: "none" }),
    token(claims(), { typ: "aecl-permit+jwt" }),
    token(claims(), { crit: ["exp"] }),
    `${head}.${body}.`,
    `${head}.${body}`,
    `${head}.${body}.${bits.toString("base64url")}`,
    `${head}.${body}.${signature}=`,
    `${head} .${body}.${signature}`,
    `${head}.${Buffer.from(JSON.stringify(claims({ to: "eve" }))).toString("base64url")}.${signature}`,
    "", "a.b.c", 7, undefined,
  ];
  for (const permit of permits) assert.throws(() => followed(permit), NotFollowed, String(permit));
});

test("other bytes, and bytes with two meanings, are not followed", () => {
  for (const text of ['{"amount":"2","to":"ann"}', `${ARGUMENTS} `, "", "[]", "\ud800", 7, null]) {
    assert.throws(() => followed(token(claims()), text), NotFollowed, String(text));
  }
  for (const text of ['{"to":"ann","to":"eve"}', "[]", "7", "{"]) {
    assert.throws(() => followed(token(claims({ arguments: digest(text) })), text), NotFollowed, text);
  }
});

test("a permit that has run out is not followed, by a clock that only goes on", () => {
  assert.throws(() => followed(token(claims()), ARGUMENTS, undefined, now() - 15), /ran out/);
  const leave = followed(token(claims({ exp: 101 })), ARGUMENTS, undefined, now() - 0.5);
  assert.doesNotThrow(() => leave.check());
});

test("what was signed for this acceptance is told apart from what was not", () => {
  const refusal = (permit: string, text = ARGUMENTS): boolean => {
    try {
      followed(permit, text);
    } catch (error) {
      return (error as NotFollowed).ours;
    }
    return assert.fail();
  };
  assert.equal(refusal(token(claims()), "{}"), true);
  assert.equal(refusal(token(claims({ nonce: "x" }))), false);
  assert.equal(refusal(token(claims(), {}, other), "{}"), false);
});
