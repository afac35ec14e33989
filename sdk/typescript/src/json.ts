/**
 * Canonical JSON (RFC 8785): the bytes that are sent, judged, compared with the permit, and read again to act.
 *
 * What has no single meaning is refused here as the server would refuse it: numbers that not every reader keeps, lone
 * surrogates, `undefined`, and whatever `JSON.stringify` would leave out or turn into something else without a word.
 */

import { createHash } from "node:crypto";

import { Invalid } from "./errors.js";

/** Value that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

const DEPTH_MAX = 64;

/** Canonical text of a value. Throws `Invalid` for what is none. Each property is read once. */
export function canonical(value: unknown): string {
  return write(value, "", 0);
}

/** SHA-256 as the server writes it: `sha256:` and 64 hexadecimal digits. */
export function digest(text: string): string {
  return `sha256:${createHash("sha256").update(text, "utf8").digest("hex")}`;
}

function write(value: unknown, at: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new Invalid("json_too_deep", `arguments are nested deeper than ${DEPTH_MAX}`);
  switch (typeof value) {
    case "boolean":
      return value ? "true" : "false";
    case "string":
      return text(value, at);
    case "number":
      return number(value, at);
    case "bigint":
      throw new Invalid("json_number", `${place(at)} is a bigint, which JSON readers do not keep; send it as text`);
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? list(value, at, depth) : object(value, at, depth);
    case "undefined":
      throw new Invalid("arguments_unfit", `${place(at)} is undefined; leave it out, or say null`);
    case "function":
    case "symbol":
      throw new Invalid("arguments_unfit", `${place(at)} is a ${typeof value}, which is no JSON`);
  }
}

function list(of: readonly unknown[], at: string, depth: number): string {
  const parts: string[] = [];
  for (let index = 0, length = of.length; index < length; index += 1) {
    parts.push(write(of[index], `${at}/${index}`, depth + 1));
  }
  return `[${parts.join(",")}]`;
}

function object(of: object, at: string, depth: number): string {
  if (!isPlain(of)) {
    const kind = (of.constructor as { name?: unknown } | undefined)?.name;
    throw new Invalid("arguments_unfit", `${place(at)} is a \`${String(kind)}\`, and has to be a plain object`);
  }
  if (Object.getOwnPropertySymbols(of).length > 0) {
    throw new Invalid("arguments_unfit", `a key in ${place(at)} is a symbol, and has to be text`);
  }
  const parts: string[] = [];
  // By UTF-16 code units, which is how JavaScript sorts.
  for (const name of Object.keys(of).sort()) {
    const below = `${at}/${name}`;
    const value: unknown = (of as Record<string, unknown>)[name];
    parts.push(`${text(name, below)}:${write(value, below, depth + 1)}`);
  }
  return `{${parts.join(",")}}`;
}

/** Whether an object is nothing but its own properties: one of another realm is, an instance of a class is not. */
export function isPlain(of: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(of) as object | null;
  if (prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

function text(value: string, at: string): string {
  if (!value.isWellFormed()) throw new Invalid("json_invalid", `${place(at)} holds a lone surrogate`);
  return JSON.stringify(value);
}

function number(value: number, at: string): string {
  if (!Number.isFinite(value)) throw new Invalid("json_number", `${place(at)} is ${value}, which is no number of JSON`);
  if (Object.is(value, -0)) throw new Invalid("json_number", `${place(at)} is a negative zero`);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw new Invalid("json_number", `${place(at)} is ${value}, beyond 2^53 - 1; send it as text`);
  }
  return String(value);
}

function place(at: string): string {
  return at === "" ? "the value" : `\`${at}\``;
}

/**
 * Text of what a function returned. Throws for what cannot be recorded.
 *
 * Nothing is judged by it before it comes back as an argument, so it may be more than an argument: a bigint that every
 * reader keeps, instances of classes (their `toJSON`, or their own properties), properties that are `undefined` and
 * left out.
 */
export function recordable(value: unknown): string {
  return record(value, 0);
}

function record(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new TypeError(`it is nested deeper than ${DEPTH_MAX}`);
  switch (typeof value) {
    case "boolean":
      return String(value);
    case "string":
      if (!value.isWellFormed()) throw new TypeError("a text holds a lone surrogate");
      return JSON.stringify(value);
    case "number":
    case "bigint":
      if (!(value >= -Number.MAX_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER)) {
        throw new TypeError(`${value} is beyond 2^53 - 1, or no number of JSON; \`encode\` can make it text`);
      }
      return String(value);
    case "object":
      return value === null ? "null" : recordObject(value, depth);
    case "undefined":
    case "function":
    case "symbol":
      throw new TypeError(`a ${typeof value} has no JSON form`);
  }
}

function recordObject(of: object, depth: number): string {
  const toJson: unknown = (of as { toJSON?: unknown }).toJSON;
  if (ArrayBuffer.isView(of) || of instanceof ArrayBuffer || isOpaque(of)) {
    throw new TypeError(`a \`${of.constructor.name}\` has no JSON form`);
  }
  if (typeof toJson === "function") return record(toJson.call(of), depth + 1);
  if (Array.isArray(of)) return `[${Array.from(of, (one: unknown) => record(one, depth + 1)).join(",")}]`;
  const parts: string[] = [];
  for (const name of Object.keys(of)) {
    const one: unknown = (of as Record<string, unknown>)[name];
    if (one !== undefined) parts.push(`${record(name, depth)}:${record(one, depth + 1)}`);
  }
  return `{${parts.join(",")}}`;
}

/** Whether what an object holds does not stand in its properties, so that `{}` would be recorded of it. */
function isOpaque(of: object): boolean {
  const kinds = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, Number, String, Boolean];
  return kinds.some((kind) => of instanceof kind);
}
