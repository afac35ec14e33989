/** The wire: server and library have one description, and a field that is new needs a thought. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { STATES } from "../src/wire.js";
import { types } from "../tools/openapi.js";

const ROOT = process.env["AECL_ROOT"] ?? assert.fail("AECL_ROOT has to name the checkout");
const DESCRIPTION = readFileSync(join(ROOT, "openapi/aecl.json"), "utf8");

test("the types of the wire are what the description says, and its states are known", () => {
  // hint: node build/tools/openapi.js ../../openapi/aecl.json > src/openapi.ts
  assert.equal(readFileSync(join(ROOT, "sdk/typescript/src/openapi.ts"), "utf8"), types(DESCRIPTION));
  const of = JSON.parse(DESCRIPTION) as {
    components: { schemas: { Action: { properties: { state: { description: string } } } } };
  };
  const described = of.components.schemas.Action.properties.state.description;
  assert.deepEqual([...described.matchAll(/`(\w+)`/g)].map((found) => found[1]).sort(), [...STATES.keys()].sort());
});

test("what nobody can say in a type is an error, and no type that says less", () => {
  const of = JSON.parse(DESCRIPTION) as { components: { schemas: Record<string, object> } };
  const changed = (schema: object): string =>
    types(JSON.stringify({ components: { schemas: { ...of.components.schemas, Why: schema } } }));
  assert.match(
    changed({ type: "object", properties: { a: { type: "string" } }, required: ["a"] }),
    /readonly a: string;/,
  );
  for (const schema of [{ allOf: [] }, { type: "date" }, { const: 5 }, { type: "array", prefixItems: [] }]) {
    assert.throws(() => changed(schema), /nobody knows/);
  }
  assert.throws(() => changed({ $ref: "#/components/schemas/Nothing" }), /no schema `Nothing`/);
});
