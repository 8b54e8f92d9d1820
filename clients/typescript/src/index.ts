/** Honnin's merchant API for Node back ends: README.md. */
export { createHonnin } from "./client.js";
export type { Answer, Honnin, HonninOptions, Input, OperationId } from "./client.js";
export { HonninError, NoAnswerError, NotSentError, NotUnderstoodError, RefusedError } from "./errors.js";
export type { Retries } from "./retries.js";
export { signed } from "./signing.js";
export type { AwsCredentials, CredentialsProvider } from "./signing.js";
export { InvalidWebhookError, verify } from "./webhooks.js";
export type { Webhook } from "./webhooks.js";
export type * from "./generated/schema.js";
