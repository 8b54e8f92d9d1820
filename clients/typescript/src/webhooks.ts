/** Merchant webhooks: verified by the reference library of Standard Webhooks, and typed. */
import { Webhook as StandardWebhook } from "standardwebhooks";
import type { MerchantWebhook } from "./generated/schema.js";

/** The request is not Honnin's, or it was signed more than five minutes ago: answer 401 and do nothing. */
export class InvalidWebhookError extends Error {
  override readonly name = "InvalidWebhookError";
}

export interface Webhook {
  /** The same for each try of an event: handle each id once. */
  id: string;
  /** `switch (event.type)`; answer 2xx also to a type that this version of the client does not know. */
  event: MerchantWebhook;
}

/** The webhook in a request, from the bytes of its body as they came. Throws `InvalidWebhookError`. */
export function verify(body: string | Buffer, headers: Record<string, string | string[] | undefined>, secret: string): Webhook {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") given[name.toLowerCase()] = value;
  }
  try {
    const event = new StandardWebhook(secret).verify(body, given) as MerchantWebhook;
    if (typeof event?.type !== "string" || typeof event.data !== "object") throw new TypeError("no event");
    return { id: given["webhook-id"] as string, event };
  } catch (cause) {
    throw new InvalidWebhookError("not a webhook that Honnin has signed in the last five minutes", { cause });
  }
}
