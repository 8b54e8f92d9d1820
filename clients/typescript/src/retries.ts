/** Which failed calls are made again, and when: only those that cannot do anything twice. */
import { HonninError, NoAnswerError, NotSentError, NotUnderstoodError } from "./errors.js";

/**
 * How often a call is made at most, and how long to wait between: `firstWaitS`, then twice as long each time, with a
 * random part. A call whose `Retry-After` is longer than `longestWaitS` is not made again.
 */
export interface Retries {
  tries: number;
  firstWaitS: number;
  longestWaitS: number;
}

export const RETRIES: Retries = { tries: 4, firstWaitS: 0.2, longestWaitS: 10 };

// docs/api.md: "Make the same call again", whatever the call.
const ANY_CALL = new Set(["provider-rate-limited", "user-busy", "aws-busy"]);
const REPEATABLE_CALL = new Set(["provider-unavailable", "idempotency-in-progress"]);

/** Seconds until the next try; undefined if there is to be none. `tried` counts those that were made. */
export function waitS(error: HonninError, tried: number, repeatable: boolean, retries: Retries): number | undefined {
  if (tried >= retries.tries || !mayRepeat(error, repeatable)) return undefined;
  const wait = Math.max(retries.firstWaitS * 2 ** (tried - 1), error.retryAfterS ?? 0);
  return wait > retries.longestWaitS ? undefined : wait * (1 + Math.random() / 4);
}

function mayRepeat(error: HonninError, repeatable: boolean): boolean {
  if (error instanceof NotSentError || ANY_CALL.has(error.code)) return true;
  if (!repeatable) return false;
  const unread = error instanceof NotUnderstoodError && !error.code && [502, 503, 504].includes(error.status ?? 0);
  return error instanceof NoAnswerError || REPEATABLE_CALL.has(error.code) || unread;
}
