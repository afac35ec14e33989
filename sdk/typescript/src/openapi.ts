// Written by tools/openapi.ts from openapi/aecl.json. Change neither by hand.

/** What came of a proposal, or where it stands. */
export interface Action {
  /** The action on record. */
  readonly action: string;
  /** The request that it waits for. */
  readonly approval?: Approval | null;
  /** Why it was refused, or how it failed. */
  readonly code?: string | null;
  /** The action that this one undoes. */
  readonly compensates?: string | null;
  /** What was decided. */
  readonly decision?: Decision | null;
  /** What else the agent could do, where it asks people often: one plan for all that is left. */
  readonly hint?: string | null;
  /** The same in words. */
  readonly message?: string;
  /** Its name, where it was asked about. */
  readonly name?: string | null;
  /** What the target answered, or would do. */
  readonly output?: unknown;
  /** Leave for the agent to do exactly this, once. */
  readonly permit?: string | null;
  /** Until when. */
  readonly permit_expires_at?: string | null;
  /** Where it is on record. */
  readonly receipt?: Receipt | null;
  /** The outcome was on record already; nothing was executed now. */
  readonly replayed?: boolean;
  /** Its run, where it was asked about. */
  readonly run?: string | null;
  /** `done`, `failed`, `unknown`, `blocked`, `rejected`, `pending`, `permitted`, `started` or `asked`. */
  readonly state: string;
  /** The action that undoes this one, and how far that is. */
  readonly undo?: Undone | null;
}

/** A request for approval. */
export interface Approval {
  /** What it is about: an `action`, or the `plan` of a run. */
  readonly about: string;
  /** The action that waits, if it is about one. */
  readonly action?: string | null;
  /** When it was asked. */
  readonly asked_at: string;
  /** The destinations whose ends have to be typed with a yes, where one person decides. */
  readonly confirm?: readonly Confirmation[];
  /** What exactly is asked about. */
  readonly digest: string;
  /** Who may not answer. */
  readonly excluded: readonly string[];
  /** When it expires, which rejects it. */
  readonly expires_at: string;
  /** Its id. */
  readonly id: string;
  /** Who must agree. */
  readonly need: readonly Requirement[];
  /** The plan is one that the agent has proposed in the middle of its run: a no ends nothing but the plan. */
  readonly proposed?: boolean;
  /** Its run. */
  readonly run: string;
  /** `pending`, `approved`, `rejected`, `expired`, `used`, or `withdrawn`: nobody has to answer any more, since the action is over, goes on without an answer, or is asked about otherwise. */
  readonly state: string;
  /** The page where people answer it. */
  readonly url: string;
  /** Who has answered. */
  readonly votes: readonly Vote[];
}

/** A destination that nobody who is trusted has named: whoever says yes types its end. */
export interface Confirmation {
  /** Where it stands in the arguments, as a JSON pointer. */
  readonly at: string;
  /** The step of the plan whose argument it is, from 1, if a plan is asked about. */
  readonly step?: number | null;
  /** What to type, in words. */
  readonly what: string;
}

/** What was decided, and why. */
export interface Decision {
  /** The approval that was used. */
  readonly approval?: string | null;
  /** The action that this one completes, and rests on: nobody was asked again. */
  readonly completes?: string | null;
  /** All findings, in the order of the checks. */
  readonly findings: readonly Finding[];
  /** The code of the first of the strictest findings. */
  readonly headline?: string | null;
  /** Who must agree. */
  readonly need?: readonly Requirement[];
  /** That approval was of the run's plan, of which this is the step, from 1. */
  readonly plan_step?: number | null;
  /** The policies that decided. */
  readonly policies: readonly string[];
  /** The same in words. */
  readonly reason: string;
  /** The risk. */
  readonly risk: Risk;
  /** `allow`, `require_approval` or `block`. */
  readonly verdict: string;
}

/** One reason why an action is risky. */
export interface Factor {
  /** Its name. */
  readonly name: string;
  /** Its points. */
  readonly points: number;
  /** Where that came from. */
  readonly source: string;
  /** What was seen. */
  readonly value: string;
}

/** One reason of a decision. */
export interface Finding {
  /** Which check. */
  readonly check: string;
  /** The stable code. */
  readonly code: string;
  /** In words. */
  readonly message: string;
  /** `allow`, `require_approval` or `block`. */
  readonly verdict: string;
}

/** What a run has seen. */
export interface Labels {
  /** Data classes. */
  readonly classes?: readonly string[];
  /** Private data. */
  readonly private?: boolean;
  /** Text that a stranger may have written. */
  readonly untrusted?: boolean;
}

/** Opens a run: one task of one agent. */
export interface OpenRun {
  /** The agent. */
  readonly agent: string;
  /** Put the plan before people: once they agree, its steps are carried out without asking again. A no ends the run. */
  readonly approve_plan?: boolean;
  /** In which environment; the configured one if absent. */
  readonly environment?: string | null;
  /** What the run is for, in words. */
  readonly goal: string;
  /** Ordered steps, if the planner declares them. */
  readonly plan?: unknown;
  /** In which project. */
  readonly project?: string | null;
  /** In which tenant; the configured one if absent. */
  readonly tenant?: string | null;
  /** For how many seconds at most; the manifest's limit if absent. */
  readonly ttl_s?: number | null;
  /** On behalf of whom. `on_behalf_of` is another name for it. */
  readonly user?: string | null;
  /** With a plan that people are asked about: wait so many seconds for their answer. */
  readonly wait_s?: number;
}

/** A run that was opened. The token is shown once. */
export interface Opened {
  /** The agent. */
  readonly agent: string;
  /** When the run ends at the latest. */
  readonly expires_at: string;
  /** The request to people about its plan, if there is one. */
  readonly plan_approval?: PlanApproval | null;
  /** The run. */
  readonly run: string;
  /** The run token: for whoever runs the agent, not for the model. */
  readonly token: string;
  /** When it expires. */
  readonly token_expires_at: string;
  /** Its id, by which it is revoked. */
  readonly token_id: string;
}

/** The request to people about a plan of a run. */
export interface PlanApproval {
  /** Until when people can answer, and a yes counts. */
  readonly expires_at: string;
  /** Its id. */
  readonly id: string;
  /** `pending`, `approved`, `rejected` (with a declared plan the run has ended), `expired` or `withdrawn` (the run has ended). */
  readonly state: string;
  /** The page where people answer it. */
  readonly url: string;
}

/** An error: RFC 9457 problem details. */
export interface ProblemDetails {
  /** With `view_changed`: the request for approval as it is shown now. */
  readonly approval?: { readonly [name: string]: unknown } | null;
  /** The stable code. */
  readonly code: string;
  /** What went wrong here. */
  readonly detail: string;
  /** What to do next. */
  readonly hint?: string | null;
  /** The HTTP status. */
  readonly status: number;
  /** What kind of error it is. */
  readonly title: string;
  /** A page with cause, meaning and way out. */
  readonly type: string;
}

/** Proposes an action. */
export interface Propose {
  /** Its name in the catalogue. */
  readonly action: string;
  /** Its arguments. They are judged as they were sent, byte for byte. */
  readonly arguments: { readonly [name: string]: unknown };
  /** The same key with the same arguments gives the recorded outcome again. Also as header. */
  readonly idempotency_key?: string | null;
  /** `execute` (AECL does it), `authorize` (the agent does it, with a permit) or `dry_run`. */
  readonly mode?: Wanted;
  /** Carry on without the proposer once people have agreed; poll for the result. */
  readonly resume?: boolean;
  /** For how many seconds to wait for people before answering `pending`. */
  readonly wait_s?: number;
}

/** Where an entry stands, and the signed head that covers it. */
export interface Receipt {
  /** When it was recorded. */
  readonly at: string;
  /** The signed checkpoint. */
  readonly checkpoint: string;
  /** The leaf hash of the entry. */
  readonly leaf: string;
  /** The ledger. */
  readonly origin: string;
  /** The position of the entry. */
  readonly position: number;
}

/** Reports what came of a permit. */
export interface Report {
  /** What went wrong, as a code. */
  readonly code?: string | null;
  /** What went wrong, in words. */
  readonly message?: string;
  /** How it ended. */
  readonly outcome: Reported;
  /** What the target answered. */
  readonly output?: unknown;
}

/** How an attempt ended. */
export type Reported = "done" | "failed" | "unknown";

/** Who must agree for one reason. */
export interface Requirement {
  /** How many different people. */
  readonly count: number;
  /** Members of these groups. */
  readonly groups: readonly string[];
}

/** How risky an action is. */
export interface Risk {
  /** Why. */
  readonly factors: readonly Factor[];
  /** 0 to 100. */
  readonly points: number;
  /** The same as 0.00 to 1.00. */
  readonly score: string;
}

/** A run. */
export interface Run {
  /** The agent. */
  readonly agent: string;
  /** Runs that it was delegated from, nearest first. */
  readonly ancestors: readonly string[];
  /** Calls permitted so far. */
  readonly calls: number;
  /** Why it was closed. */
  readonly closed?: string | null;
  /** The environment. */
  readonly environment: string;
  /** When it ends at the latest. */
  readonly expires_at: string;
  /** What it is for. */
  readonly goal?: string | null;
  /** What it has seen. */
  readonly labels: Labels;
  /** When it began. */
  readonly opened_at: string;
  /** Ordered steps. */
  readonly plan?: unknown;
  /** The request to people about its plan, if there is one. */
  readonly plan_approval?: PlanApproval | null;
  /** The project. */
  readonly project?: string | null;
  /** The request to people about the plan that its agent has proposed last, if it has. */
  readonly proposed_plan?: PlanApproval | null;
  /** Its id. */
  readonly run: string;
  /** `open`, `closed` or `expired`. */
  readonly state: string;
  /** The tenant. */
  readonly tenant: string;
  /** On behalf of whom. */
  readonly user?: string | null;
}

/** A fresh token for a run. */
export interface Token {
  /** The run. */
  readonly run: string;
  /** The run token. */
  readonly token: string;
  /** When it expires. */
  readonly token_expires_at: string;
  /** Its id, by which it is revoked. */
  readonly token_id: string;
}

/** How far an undo is. */
export interface Undone {
  /** The action that undoes. */
  readonly by: string;
  /** `underway`, `done` or `failed`. */
  readonly state: string;
}

/** A person's answer so far. */
export interface Vote {
  /** When. */
  readonly at: string;
  /** Why this yes does not count any more, if it does not: whoever said it may not say it now. */
  readonly lapsed?: string | null;
  /** Who. */
  readonly person: string;
  /** Why. */
  readonly reason?: string;
  /** Yes or no. */
  readonly yes: boolean;
}

/** What the proposer wants. */
export type Wanted = "execute" | "authorize" | "dry_run";

/** Why something is done. */
export interface Why {
  /** Why, in words. */
  readonly reason?: string;
}
