/** What the shop knows of its customers. The file stands for a table of your database. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { MerchantWebhook, ProviderName, UserView } from "honnin-client";

interface Known {
  /** Of Honnin. Whatever comes with a smaller one is of the past, in whatever order it comes. */
  version: number;
  /** null: erased. */
  status: string | null;
}
type Customer = Partial<Record<ProviderName, Known>>;

const PROVIDERS: ProviderName[] = ["paypay", "vexora"];

export class Customers {
  private readonly known = new Map<string, Customer>();

  constructor(private readonly file: string) {
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
      this.keep(...(JSON.parse(line) as [string, ProviderName, Known]));
    }
  }

  /** The statuses of a customer, as far as they have come here. */
  statuses(id: string): Partial<Record<ProviderName, string | null>> {
    const each = Object.entries(this.known.get(id) ?? {});
    return Object.fromEntries(each.map(([provider, { status }]) => [provider, status]));
  }

  /** From a webhook. It is stored when this returns; the same one again changes nothing. */
  receive({ type, data }: MerchantWebhook): void {
    if (type === "kyc.status.changed")
      this.learn(data.userId, data.provider, { version: data.version, status: data.to });
    // Of both providers. The version stays, for what arrives late.
    if (type === "user.erased")
      for (const each of PROVIDERS) this.learn(data.userId, each, { version: data.version, status: null });
  }

  /** From an answer of Honnin. */
  see({ userId, providers }: UserView): void {
    for (const provider of PROVIDERS) {
      const view = providers[provider];
      if (view) this.learn(userId, provider, { version: view.version, status: view.status });
    }
  }

  private learn(id: string, provider: ProviderName, news: Known): void {
    if (this.keep(id, provider, news)) appendFileSync(this.file, `${JSON.stringify([id, provider, news])}\n`);
  }

  private keep(id: string, provider: ProviderName, news: Known): boolean {
    const customer = this.known.get(id) ?? {};
    if (news.version <= (customer[provider]?.version ?? -1)) return false;
    this.known.set(id, { ...customer, [provider]: news });
    return true; // your own work begins here: a mail, a limit lifted, an account closed
  }
}
