/** The shop's back end: it submits, links, reads, receives Honnin's webhooks, and catches up with what it has missed. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { type Honnin, HonninError, InvalidWebhookError, RefusedError, verify } from "honnin-client";
import type { Customers } from "./customers.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const JST_MS = 9 * 60 * 60 * 1000;
const LOOKED_UP_AT_ONCE = 100;

export interface Setting {
  honnin: Honnin;
  customers: Customers;
  /** Of the merchant webhooks. */
  secret: string;
  /** Where the customer comes back to from PayPay; Honnin's parameter `ReturnUrlAllowlist` names it. */
  returnUrl: string;
}

type Answer = [status: number, body?: unknown];
type Route = (shop: Shop, id: string, body: Buffer, headers: IncomingHttpHeaders) => Answer | Promise<Answer>;

const ROUTES: [method: string, path: RegExp, route: Route][] = [
  ["POST", /^\/hooks()$/, (shop, _, body, headers) => shop.receive(body, headers)],
  ["GET", /^\/customers\/([^/]+)$/, (shop, id) => [200, shop.setting.customers.statuses(id)]],
  ["POST", /^\/customers\/([^/]+)\/submission$/, (shop, id, body) => shop.submit(id, JSON.parse(body.toString()))],
  ["POST", /^\/customers\/([^/]+)\/link$/, (shop, id) => shop.link(id)],
  ["GET", /^\/customers\/([^/]+)\/back$/, (shop, id) => shop.back(id)],
  ["POST", /^\/customers\/([^/]+)\/withdrawals$/, (shop, id) => shop.withdraw(id)],
];

export class Shop {
  constructor(readonly setting: Setting) {}

  /** Sends a form to Vexora. `formId` is one for each form that a customer fills in: sent twice, it is submitted once. */
  async submit(userId: string, form: { formId: string; usernameFurigana: string }): Promise<Answer> {
    const header = { "Idempotency-Key": form.formId };
    const body = { userId, usernameFurigana: form.usernameFurigana };
    const { status } = await this.setting.honnin.submitToVexora({ body, header });
    return [202, { status }]; // the result comes as a webhook
  }

  /** The address of PayPay's page, to be opened on the customer's phone. */
  async link(userId: string): Promise<Answer> {
    const body = { userId, scopes: ["mini_app_kyc_passport" as const], returnUrl: this.setting.returnUrl };
    const { linkQRCodeURL } = await this.setting.honnin.createAccountLink({ body });
    return [201, { linkQRCodeURL }];
  }

  /** The customer comes back. `result` in the address proves nothing, so Honnin reads the KYC; it keeps the data. */
  async back(userId: string): Promise<Answer> {
    await this.setting.honnin.getKycPassport({ path: { userId } });
    const user = await this.setting.honnin.getUser({ path: { userId } });
    this.setting.customers.see(user);
    return [200, { verified: user.verified }];
  }

  /** What only verified customers may do asks Honnin at that moment. */
  async withdraw(userId: string): Promise<Answer> {
    const { verified, verifiedReason } = await this.setting.honnin.getUser({ path: { userId } });
    return verified ? [204] : [403, { verifiedReason }];
  }

  /** A webhook: stored before it is answered. */
  receive(body: Buffer, headers: IncomingHttpHeaders): Answer {
    this.setting.customers.receive(verify(body, headers, this.setting.secret).event);
    return [204];
  }

  /** Reads whoever has changed since yesterday, in Japan. Call it after a start, and each night. */
  async catchUp(): Promise<void> {
    const { honnin, customers } = this.setting;
    const changed = new Set<string>();
    let cursor: string | null = null;
    do {
      const query = {
        from: japanese(Date.now() - DAY_MS),
        to: japanese(Date.now()),
        limit: 100,
        ...(cursor ? { cursor } : {}),
      };
      const page = await honnin.listChanges({ query });
      for (const { userId } of page.changes) changed.add(userId);
      cursor = page.cursor;
    } while (cursor);
    const ids = [...changed];
    for (let at = 0; at < ids.length; at += LOOKED_UP_AT_ONCE) {
      const userIds = ids.slice(at, at + LOOKED_UP_AT_ONCE);
      const { users } = await honnin.lookUpUsers({ body: { userIds } });
      for (const user of users) customers.see(user);
    }
  }
}

/** The HTTP server of a shop; it does not listen yet. */
export function server(shop: Shop): ReturnType<typeof createServer> {
  return createServer(async (request, response) => {
    const [status, body] = await answered(shop, request).catch(failed);
    response
      .writeHead(status, { "Content-Type": "application/json" })
      .end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function answered(shop: Shop, request: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const path = new URL(request.url ?? "/", "http://shop").pathname;
  for (const [method, pattern, route] of ROUTES) {
    const found = method === request.method && pattern.exec(path);
    if (found) return route(shop, decodeURIComponent(found[1] ?? ""), Buffer.concat(pieces), request.headers);
  }
  return [404];
}

/** By the class of the error and by its code, never by a text. */
function failed(error: unknown): Answer {
  if (error instanceof InvalidWebhookError) return [401];
  if (error instanceof RefusedError) return [error.code === "user-unknown" ? 404 : 409, { code: error.code }];
  if (error instanceof HonninError) return [503, { retryAfterS: error.retryAfterS ?? 5 }]; // the same form may come again
  console.error(error instanceof Error ? error.stack : error);
  return [500];
}

function japanese(at: number): string {
  return new Date(at + JST_MS).toISOString().slice(0, 10);
}
