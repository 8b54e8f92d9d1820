/** For the tests of a back end that uses Honnin: a local stack, its sandbox, and waiting. README.md has an example. */
import { type Honnin, createHonnin } from "../client.js";
import type { UserView } from "../generated/schema.js";
import { Events } from "./events.js";
import { MerchantWebhooks } from "./receiver.js";
import { Sandbox } from "./sandbox.js";
import { HeldStack, type StackDescription, type StackOptions } from "./stack.js";
import { awaitStatus, type Wanted } from "./waiting.js";

export { LocalStackError } from "./errors.js";
export type { Details, DomainEvent, Events } from "./events.js";
export type { MerchantWebhooks } from "./receiver.js";
export type { Delivery, Sandbox, SandboxUser } from "./sandbox.js";
export type { StackDescription, StackOptions } from "./stack.js";
export type { About, Patience, Wanted } from "./waiting.js";

/** A local stack in use. Every function stands for itself, so that they can be taken out of it. */
export interface LocalStack {
  /** The client, with the key of the merchant's back end. */
  honnin: Honnin;
  sandbox: Sandbox;
  /** Addresses, keys, names. `started`: it was started for this test process. */
  stack: StackDescription & { started: boolean };
  /** Resolves with the user once everything in `wanted` is so. The time-out says what is so instead, and since when. */
  awaitStatus(userId: string, wanted: Wanted): Promise<UserView>;
  /** Begins to listen to the bus; resolves once nothing is missed any more. Call it first. */
  events(): Promise<Events>;
  /** Opens a receiver of merchant webhooks. */
  merchantWebhooks(): Promise<MerchantWebhooks>;
  /** Empties stack and sandbox. Not while other tests use the same stack. */
  reset(): Promise<void>;
  /** Ends what was opened here; and the stack, if a test has started it and no other test process uses it. */
  close(): Promise<void>;
}

/** Takes the local stack of a checkout of Honnin if it runs; otherwise starts it with `make up`, which takes a while. */
export async function localStack(options: StackOptions = {}): Promise<LocalStack> {
  const held = await HeldStack.hold(options);
  const { merchantApiUrl: url, merchantKey: credentials, region, merchantWebhookSecret } = held.told;
  const honnin = createHonnin({ url, credentials, region });
  const sandbox = new Sandbox(held, honnin);
  const opened: { close(): Promise<void> }[] = [];
  const kept = <T extends { close(): Promise<void> }>(each: T): T => (opened.push(each), each);
  return {
    honnin,
    sandbox,
    stack: { ...held.told, started: held.started },
    awaitStatus: (userId, wanted) => awaitStatus(honnin, userId, wanted),
    events: async () => kept(await Events.listen(held)),
    merchantWebhooks: async () => kept(await MerchantWebhooks.open(sandbox, merchantWebhookSecret)),
    reset: async () => {
      await held.run("reset");
      sandbox.forget();
    },
    close: async () => {
      await Promise.all(opened.splice(0).map((each) => each.close()));
      await held.letGo();
    },
  };
}
