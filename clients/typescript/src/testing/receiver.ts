/** A receiver of merchant webhooks for tests, on this machine. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { MerchantWebhook } from "../generated/schema.js";
import { verify, type Webhook } from "../webhooks.js";
import { LocalStackError } from "./errors.js";
import type { Sandbox } from "./sandbox.js";
import { type About, arrival } from "./waiting.js";

type Type = MerchantWebhook["type"];
type Of<T extends Type> = Webhook & { event: Extract<MerchantWebhook, { type: T }> };

/** What has come since it was opened; each one is verified. */
export class MerchantWebhooks {
  readonly all: Webhook[] = [];
  /** The HTTP status to answer with. */
  answer = 204;

  readonly url: string;
  private stop: () => Promise<void> = () => Promise.resolve();

  private constructor(
    readonly secret: string,
    private readonly server: Server,
  ) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async open(sandbox: Sandbox, secret: string | null): Promise<MerchantWebhooks> {
    if (!secret) throw new LocalStackError("this local stack sends no merchant webhooks: it has no MerchantWebhookUrl");
    const server = createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      response.writeHead(webhooks.take(Buffer.concat(pieces), request.headers)).end();
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    const webhooks = new MerchantWebhooks(secret, server);
    webhooks.stop = await sandbox.webhooksTo(webhooks.url);
    return webhooks;
  }

  /** Those that have come, about a user if one is named. */
  received(userId?: string): Webhook[] {
    return this.all.filter(({ event }) => userId === undefined || userOf(event) === userId);
  }

  /** The first one of a type, about a user if one is named, that has come or comes. */
  async wait<T extends Type>(type: T, about: About = {}): Promise<Of<T>> {
    const isOne = (each: Webhook): each is Of<T> => each.event.type === type;
    const come = () => this.all.map(({ event }) => [event.type, userOf(event)].join(" ").trim());
    return arrival(type, about, () => this.received(about.userId).find(isOne), come);
  }

  async close(): Promise<void> {
    await this.stop();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private take(body: Buffer, headers: Parameters<typeof verify>[1]): number {
    try {
      const webhook = verify(body, headers, this.secret);
      if (this.answer < 300) this.all.push(webhook);
      return this.answer;
    } catch {
      return 401;
    }
  }
}

function userOf(event: MerchantWebhook): string | undefined {
  return "userId" in event.data ? event.data.userId : undefined;
}
