/** Idempotency keys: by which a call is known, in whatever process and library it is made. */

import { createHash, randomUUID } from "node:crypto";

import { Invalid } from "./errors.js";
import { digest } from "./json.js";

/** Idempotency key of a call: of its id, which is 1 to 255 visible ASCII characters on the wire, or one of its own. */
export function callKey(callId: string | undefined): string {
  if (callId === undefined) return `once:${randomUUID().replaceAll("-", "")}`;
  if (typeof callId !== "string" || callId === "")
    throw new Invalid("request_invalid", "a call id is no text, or empty");
  if (/^[!-~]{1,200}$/.test(callId)) return `call:${callId}`;
  if (callId.isWellFormed()) return `call-${digest(callId)}`;
  // By code units, so that two ids which differ in a lone surrogate stay two.
  return `call-utf16-${createHash("sha256").update(callId, "utf16le").digest("hex")}`;
}
