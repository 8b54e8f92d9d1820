/** What may become of a call that does not succeed. Four kinds, because each asks for something else of the caller. */
import type { Problem } from "./generated/schema.js";

export interface ErrorDetails {
  problem?: Problem;
  code?: string;
  status?: number;
  retryAfterS?: number;
  cause?: unknown;
}

/**
 * A call that did not succeed. Decide by the class and by `code` (the problem's; "" if there is none), never by a
 * text. `problem` is Honnin's answer, `status` the HTTP status, `retryAfterS` how many seconds to wait.
 */
export class HonninError extends Error {
  readonly problem: Problem | undefined;
  readonly code: string;
  readonly status: number | undefined;
  readonly retryAfterS: number | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.problem = details.problem;
    this.code = details.code ?? "";
    this.status = details.status;
    this.retryAfterS = details.retryAfterS;
  }
}

/** The call did not leave, or it did not get through to the provider: nothing has happened. Make it again. */
export class NotSentError extends HonninError {}
/** It is not known whether the call took effect. Repeat a read; repeat a submission with its Idempotency-Key. */
export class NoAnswerError extends HonninError {}
/** Honnin or the provider refused the call. `code` says why, and `problem.errors` names each field. */
export class RefusedError extends HonninError {}
/** There was an answer, and it is not one that this client, or Honnin, can read. */
export class NotUnderstoodError extends HonninError {}

const KINDS: Record<string, typeof HonninError> = {
  // Honnin answered, but nobody knows what became of the call.
  "provider-timeout": NoAnswerError,
  "gateway-timeout": NoAnswerError,
  "gateway-failed": NoAnswerError,
  "provider-failed": NoAnswerError,
  unexpected: NoAnswerError,
  "too-many-requests": NotSentError,
  "provider-not-reached": NotSentError,
  "provider-not-understood": NotUnderstoodError,
};

// What Node's fetch says if the connection was never made. Faults of the certificate are recognised by their names.
const NOT_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);
const CERTIFICATE = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** The error for an answer that is no success. Its text names code and title, and nothing of what was sent. */
export function ofAnswer(response: Response, body: unknown): HonninError {
  const retryAfter = response.headers.get("Retry-After") ?? "";
  const status = response.status;
  const details: ErrorDetails = { status, ...(/^\d+$/.test(retryAfter) ? { retryAfterS: Number(retryAfter) } : {}) };
  const problem = (typeof body === "object" ? body : null) as Problem | null;
  if (typeof problem?.code !== "string" || typeof problem.title !== "string") {
    return new NotUnderstoodError(`an answer with HTTP ${status} that is no problem of Honnin's`, details);
  }
  const Kind = KINDS[problem.code] ?? RefusedError;
  return new Kind(`${problem.code}: ${problem.title}`, { ...details, problem, code: problem.code });
}

/** The error for what fetch threw. Its text names no URL: it holds the user's id. */
export function ofFailure(cause: unknown): HonninError {
  if (cause instanceof HonninError) return cause;
  if (cause instanceof SyntaxError) return new NotUnderstoodError("an answer that is no JSON", { cause });
  const code = String((cause as { cause?: { code?: unknown } }).cause?.code ?? "");
  return NOT_SENT.has(code) || CERTIFICATE.test(code)
    ? new NotSentError("Honnin could not be reached", { cause })
    : new NoAnswerError("no complete answer came from Honnin", { cause });
}
