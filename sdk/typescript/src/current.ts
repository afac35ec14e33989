/** The run that `guard` acts in: that of the innermost function that a run was given to. */

import { AsyncLocalStorage } from "node:async_hooks";

import type { Run } from "./run.js";

export const current = new AsyncLocalStorage<Run>();
