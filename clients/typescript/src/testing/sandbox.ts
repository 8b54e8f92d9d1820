/** The simulated providers: what a user, a reviewer or a provider does, and whether its webhook arrives. */
import type { Honnin } from "../client.js";
import type { AccountLinkRequest } from "../generated/schema.js";
import { LocalStackError } from "./errors.js";
import type { HeldStack } from "./stack.js";
import { known, type Patience, until } from "./waiting.js";

/** When the webhook about a change comes: as usual, never, twice, or 60 seconds late. */
export type Delivery = "sent" | "lost" | "twice" | "late";
type Scopes = AccountLinkRequest["scopes"];

const CALLBACKS: Record<Delivery, string | null> = {
  sent: null,
  lost: "dropped",
  twice: "duplicated",
  late: "delayed",
};
const APPROVED = "2"; // Vexora's authenticationStatus
const SCOPES: Scopes = ["mini_app_kyc_passport", "get_kyc_info"];
const NIGHT_S = 180;

interface ReconFile {
  day: string;
  sha256: string;
  /** How far the notification is; null without one. */
  notification: string | null;
}

/** The sandbox of a stack. Each method rejects with a `LocalStackError` if the sandbox refuses it. */
export class Sandbox {
  private readonly users = new Map<string, SandboxUser>();

  constructor(
    private readonly held: HeldStack,
    private readonly honnin: Honnin,
  ) {}

  /** Its address; the page there shows what the sandbox knows. */
  get url(): string {
    if (this.held.told.sandboxUrl) return this.held.told.sandboxUrl;
    throw new LocalStackError(`the local stack "${this.held.told.name}" runs without the sandbox`);
  }

  /** A user at both providers. From the first call on, an application to Vexora waits for `approve` or `reject`. */
  user(id: string): SandboxUser {
    const found = this.users.get(id) ?? new SandboxUser(this, this.honnin, id);
    this.users.set(id, found);
    return found;
  }

  /** The next notification of either provider to Honnin is lost, with all its tries: that of a user, or anybody's. */
  async loseNextWebhook(user?: string): Promise<void> {
    await this.control("POST", "/lose-next", user === undefined ? {} : { user });
  }

  /** PayPay is under maintenance while `work` runs: it answers no call, and sends no webhook. */
  async maintenance<T>(work: () => Promise<T>): Promise<T> {
    await this.dials("paypay", { maintenance: "on" });
    try {
      return await work();
    } finally {
      await this.dials("paypay", { maintenance: null });
    }
  }

  /** Sets what the providers do, for all or for a user: the tables of sandbox/__init__.py and sandbox/paypay/__init__.py. */
  async dials(provider: "vexora" | "paypay", dials: Record<string, unknown>, user?: string): Promise<void> {
    if (user !== undefined) await this.user(user).waits;
    await this.control("PUT", `/dials/${provider}${user === undefined ? "" : `/${encodeURIComponent(user)}`}`, dials);
  }

  /**
   * PayPay makes the recon files of today, and Honnin downloads and compares them. Users whom they name are read again
   * shortly afterwards. Resolves with the day, in Japan.
   */
  async reconNight(): Promise<string> {
    const made = (await this.control("POST", "/paypay/recon-night", { day: "today" })) as { files: ReconFile[] };
    const day = made.files[0]?.day ?? "";
    const compared = async () => {
      await this.invoke("ReconDownloadFunctionName"); // its schedule would do the same within a minute
      const report = await known(this.honnin.getReconReport({ path: { date: day } }), "recon-day-unknown");
      const now = (await this.control("GET", "/paypay/recon-files")) as { files: ReconFile[] };
      const told = now.files.filter(
        (each) => each.day === day && each.notification !== null && each.notification !== "dropped",
      );
      const isCompared = ({ sha256 }: ReconFile) =>
        report?.files.some((each) => each.sha256 === sha256 && each.state === "COMPARED");
      return told.every(isCompared) || undefined;
    };
    await until(compared, NIGHT_S, () => `Honnin has not compared the recon files of ${day} within ${NIGHT_S} s.`);
    return day;
  }

  /** Passes merchant webhooks on to `url`, from now until the function that it resolves with is called. */
  async webhooksTo(url: string): Promise<() => Promise<void>> {
    await this.control("POST", "/shop/receivers", { url });
    return async () => void (await this.control("DELETE", "/shop/receivers", { url }));
  }

  /** After a reset nothing is set for a user. */
  forget(): void {
    this.users.clear();
  }

  /** Runs a function of Honnin without its schedule; `output` names it. */
  async invoke(output: string): Promise<void> {
    await this.held.invoke(output);
  }

  /** Calls the sandbox's control API (sandbox/__init__.py). */
  async control(method: string, path: string, body?: unknown): Promise<unknown> {
    const { status, answer } = await this.asked(method, path, body);
    if (status < 300) return answer;
    throw new LocalStackError(`the sandbox refuses ${method} ${path} (${status}): ${JSON.stringify(answer)}`);
  }

  /** The same, without deciding about the status. */
  async asked(method: string, path: string, body?: unknown): Promise<{ status: number; answer: unknown }> {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    const response = await fetch(`${this.url}/_sandbox${path}`, { method, ...init });
    return { status: response.status, answer: await response.json().catch(() => null) };
  }
}

/** A user at both providers. `delivery` is about the webhook to Honnin. */
export class SandboxUser {
  /** Resolves once applications to Vexora wait. */
  readonly waits: Promise<unknown>;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly honnin: Honnin,
    readonly id: string,
  ) {
    this.waits = sandbox.control("PUT", `/dials/vexora/${encodeURIComponent(id)}`, { review: "none" });
    this.waits.catch(() => undefined); // each method says it
  }

  /** Vexora approves the user: the open application, or else the next one at once. */
  async approve(delivery: Delivery = "sent"): Promise<void> {
    await this.review("approve", delivery);
  }

  /** Vexora rejects the user: the open application, or else the next one at once. */
  async reject(reason?: string, delivery: Delivery = "sent"): Promise<void> {
    if (reason !== undefined) await this.sandbox.dials("vexora", { reason }, this.id);
    await this.review("reject", delivery);
  }

  /** Honnin asks Vexora about the open submission now, and finds the result whose callback was lost. */
  async poll({ timeoutS = 60 }: Patience = {}): Promise<void> {
    const asked = async () =>
      ((await this.sandbox.control("GET", this.path("vexora"))) as { query_calls: number }).query_calls;
    const before = await asked();
    const polled = async () => {
      await this.sandbox.invoke("VexoraStatusPollFunctionName");
      return (await asked()) > before || undefined; // in its first seconds a submission is not asked about
    };
    await until(polled, timeoutS, () => `Honnin has not asked Vexora about ${this.id}: is a submission open?`);
  }

  /** Vexora's last callback goes out once more. */
  async resultAgain(delivery: Delivery = "sent"): Promise<void> {
    await this.act("vexora", "review", { outcome: "again" }, delivery);
  }

  /** The user links the PayPay account: `createAccountLink`, then `allow`. */
  async link(scopes: Scopes = SCOPES): Promise<void> {
    const body = { userId: this.id, scopes, returnUrl: `${this.sandbox.url}/shop/return` };
    await this.allow((await this.honnin.createAccountLink({ body })).linkQRCodeURL);
  }

  /** The user agrees on the page of `linkQRCodeURL`. Resolves with the address to which Honnin sends the browser. */
  async allow(linkQRCodeURL: string): Promise<string> {
    return this.press(linkQRCodeURL, "allow");
  }

  /** The user declines there. */
  async decline(linkQRCodeURL: string): Promise<string> {
    return this.press(linkQRCodeURL, "decline");
  }

  /** PayPay has updated the KYC: `completed` false makes its reads answer KYC_NOT_COMPLETED. */
  async updateKyc(
    change: { completed?: boolean; data?: Record<string, unknown> } = {},
    delivery: Delivery = "sent",
  ): Promise<void> {
    await this.act("paypay", "kyc-updated", change, delivery);
  }

  /** PayPay flags the user. */
  async flag(
    flag: "UNACCEPTABLE_OP" | "KYC_UPDATE_REQUIRED" = "UNACCEPTABLE_OP",
    delivery: Delivery = "sent",
  ): Promise<void> {
    await this.act("paypay", "risk", { flag }, delivery);
  }

  async clearFlag(delivery: Delivery = "sent"): Promise<void> {
    await this.act("paypay", "risk", { flag: null }, delivery);
  }

  /** The account at PayPay is active, suspended or closed. */
  async accountStatus(status: "active" | "inactive" | "canceled", delivery: Delivery = "sent"): Promise<void> {
    await this.act("paypay", "account", { status }, delivery);
  }

  /** The user ends the link in the PayPay app. */
  async cancelLink(delivery: Delivery = "sent"): Promise<void> {
    await this.act("paypay", "authorization", { state: "unlinked" }, delivery);
  }

  /** The authorization ends now; PayPay sends no webhook of that. */
  async expireLink(): Promise<void> {
    await this.waits;
    await this.sandbox.control("POST", this.path("paypay", "authorization"), { state: "expired" });
  }

  private async act(provider: string, what: string, change: object, delivery: Delivery): Promise<void> {
    await this.waits;
    await this.sandbox.control("POST", this.path(provider, what), { ...change, delivery });
  }

  private async review(outcome: "approve" | "reject", delivery: Delivery): Promise<void> {
    await this.waits;
    const path = this.path("vexora", "review");
    const { status, answer } = await this.sandbox.asked("POST", path, { outcome, delivery });
    if (status < 300) return;
    if (status !== 404 && status !== 409)
      throw new LocalStackError(`the sandbox refuses POST ${path} (${status}): ${JSON.stringify(answer)}`);
    const known = (await this.sandbox.control("GET", this.path("vexora"))) as { status: string | null };
    if (known.status === APPROVED) {
      if (outcome === "approve") return;
      throw new LocalStackError(`Vexora has approved ${this.id} already`);
    }
    await this.sandbox.dials("vexora", { review: outcome, review_delay_s: 0, callback: CALLBACKS[delivery] }, this.id);
  }

  private async press(linkQRCodeURL: string, decision: string): Promise<string> {
    await this.waits;
    const pressed = await fetch(linkQRCodeURL, {
      method: "POST",
      body: new URLSearchParams({ decision }),
      redirect: "manual",
    });
    const back = await fetch(whereTo(pressed), { redirect: "manual" });
    return whereTo(back);
  }

  private path(provider: string, what?: string): string {
    return `/${provider}/users/${encodeURIComponent(this.id)}${what === undefined ? "" : `/${what}`}`;
  }
}

function whereTo(response: Response): string {
  const place = response.headers.get("Location");
  if (place) return new URL(place, response.url).href;
  throw new LocalStackError(
    `${new URL(response.url).origin} answers HTTP ${response.status}, and sends the browser nowhere`,
  );
}
