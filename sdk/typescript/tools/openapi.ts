/**
 * Writes the types of the wire, `src/openapi.ts`, from the description of the server, `openapi/aecl.json`.
 *
 *     node tools/openapi.js DESCRIPTION        prints them
 *
 * What it does not understand of a schema is an error: a type that says less than the description would be believed.
 */

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** Schemas that the library sends and reads; those that they name come along. */
const ROOTS = ["Action", "OpenRun", "Opened", "ProblemDetails", "Propose", "Report", "Run", "Token", "Why"];

/** Words of a schema that say nothing about its type in TypeScript. */
const SILENT = new Set([
  ...["default", "description", "format", "maximum", "maxItems", "maxLength", "minimum", "minItems", "minLength"],
  ...["not", "pattern", "required", "uniqueItems"],
]);

interface Schema {
  readonly [word: string]: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly $ref?: string;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly description?: string;
}

/** Source of the types. */
export function types(description: string): string {
  const of = JSON.parse(description) as { components: { schemas: Record<string, Schema> } };
  const schemas = of.components.schemas;
  const wanted = new Set<string>();
  const follow = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    const schema = schemas[name];
    if (schema === undefined) throw new Error(`the description has no schema \`${name}\``);
    for (const [, found] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)) follow(found ?? "");
  };
  ROOTS.forEach(follow);
  const parts = [...wanted].sort().map((name) => declaration(name, schemas[name] ?? {}));
  return `// Written by tools/openapi.ts from openapi/aecl.json. Change neither by hand.\n\n${parts.join("\n")}`;
}

function declaration(name: string, schema: Schema): string {
  const doc = comment(schema, "");
  if (schema.type !== "object" || schema.properties === undefined)
    return `${doc}export type ${name} = ${type(schema, "")};\n`;
  return `${doc}export interface ${name} ${type(schema, "")}\n`;
}

function comment(schema: Schema, indent: string): string {
  const said = schema.description ?? schema.oneOf?.find((one) => one.description !== undefined)?.description;
  const text = said?.replaceAll("\n", " ").replaceAll("*/", "* /");
  return text === undefined ? "" : `${indent}/** ${text} */\n`;
}

function type(schema: Schema, indent: string): string {
  const {
    type: kind,
    enum: values,
    $ref: reference,
    oneOf,
    anyOf,
    items,
    properties,
    additionalProperties,
    ...rest
  } = schema;
  const unknown = Object.keys(rest).filter((word) => !SILENT.has(word));
  if (unknown.length > 0) throw new Error(`nobody knows what \`${unknown.join("`, `")}\` means for a type`);
  if (reference !== undefined) return reference.replace("#/components/schemas/", "");
  const choices = oneOf ?? anyOf;
  if (choices !== undefined) return union(choices.map((one) => type(one, indent)));
  if (values !== undefined) return union(values.map((value) => JSON.stringify(value)));
  if (kind === undefined) return "unknown";
  if (typeof kind !== "string") return union(kind.map((one) => type({ ...schema, type: one }, indent)));
  switch (kind) {
    case "string":
    case "boolean":
    case "null":
      return kind;
    case "integer":
    case "number":
      return "number";
    case "array":
      return list(type(items ?? {}, indent));
    case "object":
      return object(schema, indent);
    default:
      throw new Error(`nobody knows the type \`${kind}\``);
  }
}

function object(schema: Schema, indent: string): string {
  const { properties, additionalProperties } = schema;
  if (properties === undefined) {
    const below = typeof additionalProperties === "object" ? type(additionalProperties, indent) : "unknown";
    return `{ readonly [name: string]: ${below} }`;
  }
  const lines = Object.entries(properties).map(([name, property]) => {
    const optional = schema.required?.includes(name) ? "" : "?";
    const below = `${indent}  `;
    return `${comment(property, below)}${below}readonly ${name}${optional}: ${type(property, below)};\n`;
  });
  return `{\n${lines.join("")}${indent}}`;
}

function list(item: string): string {
  return item.includes(" | ") && !item.startsWith("{") ? `readonly (${item})[]` : `readonly ${item}[]`;
}

function union(choices: readonly string[]): string {
  const different = [...new Set(choices)];
  return different.includes("unknown") ? "unknown" : different.join(" | ");
}

const [, program, description] = process.argv;
if (program !== undefined && import.meta.url === pathToFileURL(program).href) {
  if (description === undefined) throw new Error("which description? node tools/openapi.js ../../openapi/aecl.json");
  process.stdout.write(types(readFileSync(description, "utf8")));
}
