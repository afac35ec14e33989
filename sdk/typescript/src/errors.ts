/**
 * Errors of the library: why something did not happen, as types with stable codes.
 *
 * Every one of them means: do not act. `Unknown` and `Underway` are the only ones after which something may have
 * happened; all others say that nothing was executed.
 */

const PAGES = "https://aecl.dev/errors/";
const GUIDE = "https://aecl.dev/guides/typescript#";

/** Codes that only this library gives. Each has a heading in docs/guides/typescript.md. */
export const LOCAL_CODES: ReadonlySet<string> = new Set([
  "answer_lost",
  "answer_unreadable",
  "arguments_differ",
  "arguments_unfit",
  "binary_missing",
  "home_missing",
  "no_run",
  "permit_foreign",
  "permit_late",
  "report_lost",
  "report_refused",
  "server_unreachable",
  "token_missing",
]);

/** Reason of a decision: which check, its stable code, its verdict, and the same in words. */
export interface Finding {
  readonly check: string;
  readonly code: string;
  readonly verdict: string;
  readonly message: string;
}

/** Codes of what the model itself can put right by another call. */
const CORRECTABLE: ReadonlySet<string> = new Set([
  "action_unknown",
  "amount_invalid",
  "arguments_invalid",
  "arguments_not_object",
  "destination_invalid",
  "json_number",
  "json_too_deep",
  "json_too_large",
]);

/** What an error may say beside its code and its message. */
export interface ErrorDetails {
  hint?: string | undefined;
  action?: string | undefined;
  page?: string | undefined;
  cause?: unknown;
}

/**
 * Anything because of which an action did not happen, or may not be repeated.
 *
 * `code` is stable, `message` is for people and may change, `hint` says what to do next, `action` is the action on
 * record (`act_…`) where there is one, `page` the address of the page with cause, meaning and way out.
 */
export class AeclError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly action: string | undefined;
  readonly page: string;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.action = details.action;
    this.page = details.page ?? (LOCAL_CODES.has(code) ? GUIDE : PAGES) + code;
  }

  /** Text that may be given to the model: what happened, whether anything was executed, whether to try again. */
  get forModel(): string {
    return `This did not happen [${this.code}]: ${this.told}. Nothing was executed.`;
  }

  /** The message without the line of the policy that says so: that is for people. */
  protected get told(): string {
    return this.message.replace(/ \(polic(?:y|ies) [^)]*\)/g, "").replace(/\.+$/, "");
  }

  override toString(): string {
    const hint = this.hint === undefined ? "" : `\nhint: ${this.hint}`;
    return `${this.message} [${this.code}]${hint}\nsee: ${this.page}`;
  }

  /** The error as data, for a log or for another process. */
  toJSON(): object {
    return { ...this, name: this.name, message: this.message, forModel: this.forModel };
  }
}

/** Refused by a decision that is on record. */
export class Refused extends AeclError {
  readonly findings: readonly Finding[];

  constructor(code: string, message: string, details: ErrorDetails & { findings?: readonly Finding[] } = {}) {
    super(code, message, details);
    this.findings = details.findings ?? [];
  }
}

/** Refused by policy. `findings` say why; nobody can agree to it. */
export class Blocked extends Refused {
  override get forModel(): string {
    const said = `Refused [${this.code}]: ${this.told}. Nothing was executed.`;
    if (CORRECTABLE.has(this.code)) return `${said} It may be corrected and tried again.`;
    return `${said} The same again will be refused, too; do not try to reach the same in another way.`;
  }
}

/** Refused because the run has ended: a new task is a new run. */
export class Closed extends Blocked {
  override get forModel(): string {
    return `This task is over [${this.code}]: ${this.told}. Nothing was executed; stop here.`;
  }
}

/** Refused by a person. */
export class Rejected extends Refused {
  override get forModel(): string {
    return (
      `A person said no [${this.code}]: ${this.told}. Nothing was executed. Do not propose it again; ` +
      "say so to the user, or do something else."
    );
  }
}

/** Nobody answered in time, or the yes was not used in time. */
export class Expired extends Refused {
  override get forModel(): string {
    return `Nobody agreed in time [${this.code}]: ${this.told}. Nothing was executed. It may be proposed again.`;
  }
}

/** What is asked of people, and where. */
export interface Question {
  approval: string;
  url: string;
  card: string;
  expiresAt: string;
  run: string;
  actionName: string;
  callId: string | undefined;
  arguments: Record<string, unknown>;
  planHint: string | undefined;
}

/**
 * It waits for people; nothing was executed.
 *
 * `approval` is the id of the request, `url` the page where it is answered, `card` what is asked and why as plain
 * text, `expiresAt` (RFC 3339) until when. Propose exactly the same again after the yes: in this process, or in
 * another one that has `resume`, with the same `callId` where one was given.
 */
export class Pending extends AeclError implements Question {
  declare readonly approval: string;
  declare readonly url: string;
  declare readonly card: string;
  declare readonly expiresAt: string;
  declare readonly run: string;
  declare readonly actionName: string;
  declare readonly callId: string | undefined;
  declare readonly arguments: Record<string, unknown>;
  declare readonly planHint: string | undefined;

  constructor(message: string, asked: Question, action: string) {
    const hint = `answer at ${asked.url}, then run the same step again (\`resume\` in another process)`;
    super("approval_pending", message, { hint, action });
    Object.assign(this, asked);
  }

  override get forModel(): string {
    return (
      `\`${this.actionName}\` waits for a person (${this.approval}, until ${this.expiresAt}). Nothing was executed. ` +
      "Do not propose it with other arguments; go on with something else or end here, and the same step is run " +
      "again after the answer."
    );
  }

  override toString(): string {
    return `${this.card}\n\n${super.toString()}`;
  }
}

/** It was tried and surely did not happen; that is on record. */
export class Failed extends AeclError {
  override get forModel(): string {
    return `It was tried and failed [${this.code}]: ${this.told}. It did not happen.`;
  }
}

/** Thrown by a guarded function, or by its `lookup`: surely nothing has happened. Reported as `failed`. */
export class NotDone extends Error {}

/**
 * It may have happened, and nobody knows. Do not repeat it; a person finds out (`aecl resolve`).
 *
 * `output` is what the function returned, where it did and only the record of it is missing.
 */
export class Unknown extends AeclError {
  output: unknown;

  override get forModel(): string {
    return (
      `It may or may not have happened [${this.code}]: ${this.told}. Do not repeat it and do not try it in ` +
      "another way; a person has to find out first."
    );
  }
}

/** The same call id is being carried out, or its process died less than 90 s ago. It is not done twice. */
export class Underway extends AeclError {
  override get forModel(): string {
    return `It is underway already [${this.code}]: ${this.told}. Wait; do not propose it again.`;
  }
}

/** This call id was done before; nothing is to be done now. `output` is what was recorded. */
export class AlreadyDone extends AeclError {
  output: unknown;

  override get forModel(): string {
    return "It was done before, and was not done again.";
  }
}

/** This is no proposal: wrong types, an unknown agent, a request that is not understood. */
export class Invalid extends AeclError {
  override get forModel(): string {
    return `The call is wrong [${this.code}]: ${this.told}. Nothing was executed. It may be corrected and tried.`;
  }
}

/** The credential is missing, does not count any more, or may not do this. */
export class Unauthorized extends AeclError {
  override get forModel(): string {
    return `The program around you may not do this [${this.code}]. Nothing was executed; stop here.`;
  }
}

/** No server, no answer in time, or an answer that is not understood: it does not happen. */
export class Unavailable extends AeclError {
  /** Whether the request may have been begun: it went out, and the server has not said that it was not. */
  readonly sent: boolean;

  constructor(code: string, message: string, details: ErrorDetails & { sent?: boolean } = {}) {
    super(code, message, details);
    this.sent = details.sent ?? true;
  }

  override get forModel(): string {
    return `The control layer did not answer [${this.code}]. Nothing was executed. Try later, or stop here.`;
  }
}

// The name of a type stays what it is where a bundler shortens the names of classes.
for (const [name, kind] of Object.entries({
  AeclError,
  Refused,
  Blocked,
  Closed,
  Rejected,
  Expired,
  Pending,
  Failed,
  NotDone,
  Unknown,
  Underway,
  AlreadyDone,
  Invalid,
  Unauthorized,
  Unavailable,
})) {
  Object.defineProperty(kind.prototype, "name", { value: name, configurable: true, writable: true });
}
