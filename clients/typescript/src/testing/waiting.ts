/** Waiting for what takes a moment, with a message that says what is there instead. */
import { setTimeout as pause } from "node:timers/promises";
import { RefusedError } from "../errors.js";
import type { Honnin } from "../client.js";
import type { EntryView, ProviderName, Status, UserView } from "../generated/schema.js";
import { LocalStackError } from "./errors.js";

const POLL_MS = 100;
const ENTRIES = 5;

/** How long to wait, in seconds. Default: 60. */
export interface Patience {
  timeoutS?: number;
}

/** What `awaitStatus` waits for: everything that is given. */
export interface Wanted extends Patience {
  /** At either provider, unless `provider` is given. */
  status?: Status;
  provider?: ProviderName;
  verified?: boolean;
}

/** The first value of `look` that is not undefined. Rejects with a `LocalStackError` after the time. */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  timeoutS: number,
  late: () => string | Promise<string>,
): Promise<T> {
  const end = performance.now() + timeoutS * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new LocalStackError(await late());
    await pause(POLL_MS);
  }
}

/** A test's user, and how long to wait. */
export interface About extends Patience {
  userId?: string;
}

/** What `look` finds once it has come. `come` names all that has come, for the message. */
export async function arrival<T>(
  type: string,
  { userId, timeoutS = 60 }: About,
  look: () => T | undefined,
  come: () => string[],
): Promise<T> {
  const whose = userId === undefined ? "" : ` of ${userId}`;
  return until(
    look,
    timeoutS,
    () => `No ${type}${whose} has come within ${timeoutS} s. What has come: ${come().join(", ") || "nothing"}.`,
  );
}

/** The user as the API gives it, once it is as wanted. */
export async function awaitStatus(honnin: Honnin, userId: string, wanted: Wanted): Promise<UserView> {
  const { timeoutS = 60 } = wanted;
  let last: UserView | undefined;
  const look = async () => {
    last = await known(honnin.getUser({ path: { userId } }));
    return last && fits(last, wanted) ? last : undefined;
  };
  return until(look, timeoutS, async () => {
    const timeline = await known(honnin.getTimeline({ path: { userId }, query: { limit: ENTRIES } }));
    return [
      `${userId} is not ${described(wanted)} after ${timeoutS} s.`,
      last ? `It is: ${standing(last)}.` : "Honnin does not know this user.",
      ...(timeline?.entries.length ? ["The latest entries of the timeline:", ...timeline.entries.map(line)] : []),
    ].join("\n");
  });
}

/** undefined for what Honnin does not know. */
export async function known<T>(answer: Promise<T>, code = "user-unknown"): Promise<T | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof RefusedError && error.code === code) return undefined;
    throw error;
  });
}

function fits(user: UserView, { status, provider, verified }: Wanted): boolean {
  const statuses = [
    ...(provider === "vexora" ? [] : [user.providers.paypay?.status]),
    ...(provider === "paypay" ? [] : [user.providers.vexora?.status]),
  ];
  return (
    (status === undefined ? !provider || statuses.some(Boolean) : statuses.includes(status as never)) &&
    (verified === undefined || user.verified === verified)
  );
}

function described({ status, provider, verified }: Wanted): string {
  const parts = [status ?? (provider && "known"), provider && `at ${provider}`].filter(Boolean);
  const said = verified === undefined ? [] : [verified ? "verified" : "no longer verified"];
  return [parts.join(" "), ...said].filter(Boolean).join(" and ") || "known";
}

function standing({ providers, verified, verifiedReason }: UserView): string {
  const each = Object.entries(providers).map(([name, view]) => `${name} ${(view as { status: string }).status}`);
  return [...each, `verified ${verified} (${verifiedReason})`].join(", ");
}

function line(entry: EntryView): string {
  const change = entry.from === entry.to ? entry.to : `${entry.from ?? "nothing"} -> ${entry.to}`;
  return `  ${entry.at} ${entry.provider} ${entry.what} (${entry.cause}): ${change}`;
}
