/** What a process knows of a run, of the arguments of a call, and of a permit for them. */

import { canonical } from "./json.js";
import { Invalid, Unauthorized, Unavailable } from "./errors.js";
import * as wire from "./wire.js";

/** Seconds that have passed, whatever a clock says. */
export function nowS(): number {
  return performance.now() / 1000;
}

/** How long things may take, in seconds. Tests make some of it shorter. */
export const limits = {
  /** Longest wait of one request for people; a longer one is several requests. */
  waitMaxS: 300,
  /** How long an answer may take beside what it waits for people. */
  answerS: 30,
  /** How long it may take until a connection stands. */
  connectS: 10,
  /** How long a report is tried: the server waits 90 s for it from the permit on. */
  reportS: 45,
  /** How long an attempt is made to be let in by a server that has too much to do. */
  crowdS: 60,
  /** How long the end of a process may be held up by reports. */
  endS: 5,
};

/** State of a run in this process: its id, its token, and who may renew that. */
export class State {
  token = "";
  agent = "";
  livesS = 0;
  sinceS = nowS();
  renewing = false;
  /** Calls that wait for people, as far as this process knows. */
  readonly waiting = new Set<string>();

  /**
   * @param key the key that has opened it; none on the socket of a home, where the file's owner may
   * @param owner whether whoever is here may open, close and renew runs without the run's own token
   */
  constructor(
    readonly run: string,
    token: string,
    readonly key: string | undefined,
    readonly owner: boolean,
  ) {
    this.take(token);
  }

  /** Takes over a token, which counts from now on. */
  take(token: string): void {
    const of = wire.claims(token);
    if (of["run"] !== this.run) throw new Unauthorized("token_foreign", "the token belongs to another run");
    const [livesS, agent] = [wire.lifetimeS(of), wire.text(of, "sub")];
    Object.assign(this, { token, livesS, agent, sinceS: nowS() });
  }
}

/** Arguments as they are sent, judged and carried out: canonical JSON. */
export class Judged {
  private constructor(readonly text: string) {}

  /** Takes arguments; throws `Invalid` for what has no single meaning. */
  static of(of: unknown): Judged {
    if (typeof of !== "object" || of === null || Array.isArray(of)) {
      throw new Invalid("arguments_not_object", "arguments are an object: a name for each value");
    }
    return new Judged(canonical(of));
  }

  /** Arguments anew from the text, so that nobody who holds the first objects can change them. */
  read(): Record<string, unknown> {
    return JSON.parse(this.text) as Record<string, unknown>;
  }
}

/** Leave to do exactly these bytes, once. */
export class Leave {
  readonly #sinceS = nowS();

  constructor(
    readonly action: string,
    readonly name: string,
    readonly judged: Judged,
    readonly livesS: number,
  ) {}

  /** Refuses to begin too late: by then the server may have given it up. */
  check(): void {
    if (nowS() - this.#sinceS >= this.livesS) {
      throw new Unavailable("permit_late", `the permit for \`${this.name}\` has run out before it was used`);
    }
  }
}

/**
 * What was carried out: the action on record, its name and arguments, and what came out.
 *
 * `replayed`: it was on record already, and nothing was executed now.
 */
export interface Done {
  readonly action: string;
  readonly name: string;
  readonly arguments: Record<string, unknown>;
  readonly output: unknown;
  readonly replayed: boolean;
}
