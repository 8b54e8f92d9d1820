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

/** The tries of one call. An unclear one counts to the end: what comes after it cannot say that nothing happened. */
export class Tries {
  private made = 0;
  private unclear: HonninError | undefined;

  constructor(
    private readonly retries: Retries,
    private readonly repeatable: boolean,
  ) {}

  /** Seconds until the next try. Throws the error of the call if there is to be none. */
  waitS(error: HonninError): number {
    this.made += 1;
    if (isUnclear(error)) this.unclear = error;
    const wait = Math.max(this.retries.firstWaitS * 2 ** (this.made - 1), error.retryAfterS ?? 0);
    if (this.made >= this.retries.tries || wait > this.retries.longestWaitS || !this.mayRepeat(error)) {
      throw this.unclear && didNothing(error) ? this.unclear : error;
    }
    return wait * (1 + Math.random() / 4);
  }

  private mayRepeat(error: HonninError): boolean {
    return didNothing(error) || (this.repeatable && (isUnclear(error) || REPEATABLE_CALL.has(error.code)));
  }
}

function didNothing(error: HonninError): boolean {
  return error instanceof NotSentError || ANY_CALL.has(error.code);
}

function isUnclear(error: HonninError): boolean {
  const unread = error instanceof NotUnderstoodError && !error.code && [502, 503, 504].includes(error.status ?? 0);
  return error instanceof NoAnswerError || unread;
}
