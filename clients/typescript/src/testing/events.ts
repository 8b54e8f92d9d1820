/** The domain events on the bus of a local stack, as `honninctl local events --follow` prints them. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type * as schema from "../generated/schema.js";
import { LocalStackError } from "./errors.js";
import type { HeldStack } from "./stack.js";
import { type About, arrival } from "./waiting.js";

const START_MS = 60_000;

/** Each type of event, and what its `detail` is (docs/api.md#domain-events). */
export interface Details {
  KycStatusChanged: schema.KycStatusChanged;
  SubmissionStale: schema.SubmissionStale;
  AuthorizationExpiring: schema.AuthorizationExpiring;
  AuthorizationExpired: schema.AuthorizationExpired;
  ResidencePeriodExpiring: schema.ResidencePeriodExpiring;
  ReconCompleted: schema.ReconCompleted;
  UserErased: schema.UserErased;
}

/** An event as EventBridge gives it to a queue. */
export interface DomainEvent<T extends keyof Details = keyof Details> {
  source: "honnin";
  "detail-type": T;
  time: string;
  detail: Details[T];
}

/** What has come since listening began. */
export class Events {
  readonly all: DomainEvent[] = [];
  private said = "";

  private constructor(private readonly child: ChildProcess) {}

  /** Resolves once no event is missed any more. */
  static async listen(held: HeldStack): Promise<Events> {
    const child = held.local("events", "--follow");
    const events = new Events(child);
    const stop = () => child.kill();
    process.once("exit", stop);
    const ended = new Promise<never>((_, failed) => {
      const fail = () =>
        failed(new LocalStackError(`honninctl local events has ended: ${events.said.trim() || "without a word"}`));
      child
        .once("error", fail)
        .once("close", fail)
        .once("close", () => process.off("exit", stop));
    });
    ended.catch(() => undefined); // it ends with `close`, too
    createInterface(child.stdout as Readable).on("line", (line) => events.all.push(JSON.parse(line) as DomainEvent));
    const listening = new Promise<void>((ready) => {
      (child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => {
        events.said += text;
        if (events.said.includes("Listening")) ready();
      });
    });
    const late = setTimeout(() => child.kill(), START_MS);
    await Promise.race([listening, ended]).finally(() => clearTimeout(late));
    // A test file that forgets `close` ends all the same.
    for (const each of handles(child)) each.unref();
    return events;
  }

  /** The first event of a type, about a user if one is named, that has come or comes. */
  async wait<T extends keyof Details>(type: T, about: About = {}): Promise<DomainEvent<T>> {
    const come = () => this.all.map((each) => [each["detail-type"], userOf(each)].join(" ").trim());
    return arrival(type, about, () => this.of(type, about.userId)[0], come);
  }

  /** The events of a type that have come, about a user if one is named. */
  of<T extends keyof Details>(type: T, userId?: string): DomainEvent<T>[] {
    const isOne = (each: DomainEvent): each is DomainEvent<T> => each["detail-type"] === type;
    return this.all.filter(isOne).filter((each) => userId === undefined || userOf(each) === userId);
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    for (const each of handles(this.child)) each.ref(); // somebody waits for it now
    const closed = new Promise((done) => this.child.once("close", done));
    this.child.kill();
    await closed;
  }
}

/** What keeps this process alive while the child runs. */
function handles(child: ChildProcess): { ref(): unknown; unref(): unknown }[] {
  return [child, child.stdout as Socket, child.stderr as Socket];
}

function userOf(event: DomainEvent): string | undefined {
  return "userId" in event.detail ? event.detail.userId : undefined;
}
