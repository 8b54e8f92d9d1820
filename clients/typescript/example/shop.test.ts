/** The shop against a local stack of Honnin: HONNIN_HOME=<a checkout of Honnin> npm test */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { localStack } from "honnin-client/testing";

const { honnin, sandbox, stack, awaitStatus, events, close } = await localStack();
const bus = await events();
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const file = join(mkdtempSync(join(tmpdir(), "shop-")), "customers.jsonl");
let shop: ChildProcess;
let stopHooks = async () => {};

before(open);
after(async () => {
  await shut();
  await close();
});

test("whom Vexora approves may withdraw, and whom it rejects may not", async () => {
  await Promise.all([decided("approve", "APPROVED"), decided("reject", "REJECTED")]);

  async function decided(outcome: "approve" | "reject", status: string): Promise<void> {
    const id = customer();
    const user = sandbox.user(id);
    const form = { formId: `form-${id}`, usernameFurigana: "テスト ハナコ" };
    assert.deepEqual(await call("POST", `/customers/${id}/submission`, form), [202, { status: "PENDING" }]);
    assert.deepEqual(
      await call("POST", `/customers/${id}/submission`, form),
      [202, { status: "PENDING" }],
      "the same form",
    );
    assert.equal((await call("POST", `/customers/${id}/withdrawals`))[0], 403);
    await user[outcome]();
    await knows(id, { vexora: status });
    assert.equal((await call("POST", `/customers/${id}/withdrawals`))[0], outcome === "approve" ? 204 : 403);
  }
});

test("a customer links PayPay; a flag takes the verification away, and clearing it gives it back", async () => {
  const id = await linked();
  await sandbox.user(id).flag();
  await knows(id, { paypay: "RISK_FLAGGED" });
  assert.deepEqual(await call("POST", `/customers/${id}/withdrawals`), [
    403,
    { verifiedReason: "PAYPAY_RISK_FLAGGED" },
  ]);
  await sandbox.user(id).clearFlag();
  await knows(id, { paypay: "VERIFIED" });
});

test("who declines at PayPay is not verified", async () => {
  const id = customer();
  await sandbox.user(id).decline(await link(id));
  await awaitStatus(id, { status: "LINK_DECLINED", verified: false });
  assert.equal((await call("GET", `/customers/${id}/back`))[0], 409);
});

test("a flag whose webhook to Honnin is lost comes with the recon files of the night", async () => {
  const id = await linked();
  await sandbox.loseNextWebhook(id);
  await sandbox.user(id).flag();
  await sandbox.reconNight();
  const { verified } = await awaitStatus(id, { status: "RISK_FLAGGED", provider: "paypay" });
  assert.equal(verified, false);
  const changes = bus.of("KycStatusChanged", id).map(({ detail }) => [detail.to, detail.cause]);
  assert.deepEqual(changes.at(-1), ["RISK_FLAGGED", "recon"]);
  await knows(id, { paypay: "RISK_FLAGGED" });
});

test("what happens while the shop is down is known after its next start", async () => {
  const id = await linked();
  await shut();
  await sandbox.user(id).cancelLink();
  await awaitStatus(id, { status: "INACTIVE" });
  await open();
  assert.deepEqual(await call("GET", `/customers/${id}`), [200, { paypay: "INACTIVE" }]);
});

test("an erased customer is forgotten", async () => {
  const id = await linked();
  await honnin.eraseUser({ path: { userId: id }, query: { unlink: true } });
  await knows(id, { paypay: null, vexora: null });
  await bus.wait("UserErased", { userId: id });
});

test("what is not signed by Honnin is refused", async () => {
  assert.equal((await call("POST", "/hooks", { type: "user.erased", data: { userId: "u" } }))[0], 401);
});

/** A new customer's id, of a form that a shop may have. */
function customer(): string {
  return `shop:${crypto.randomUUID().slice(0, 8)}@example`;
}

async function link(id: string): Promise<string> {
  const [status, body] = await call("POST", `/customers/${id}/link`);
  assert.equal(status, 201);
  return (body as { linkQRCodeURL: string }).linkQRCodeURL;
}

async function linked(): Promise<string> {
  const id = customer();
  await sandbox.user(id).allow(await link(id));
  assert.deepEqual(await call("GET", `/customers/${id}/back`), [200, { verified: true }]);
  return id;
}

/** Waits until the shop knows these statuses. */
async function knows(id: string, statuses: Record<string, string | null>): Promise<void> {
  for (let tries = 0; ; tries++) {
    const known = (await call("GET", `/customers/${id}`))[1];
    try {
      return assert.deepEqual(known, statuses);
    } catch (error) {
      if (tries > 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function call(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return [answer.status, await answer.json().catch(() => undefined)];
}

async function open(): Promise<void> {
  shop = spawn(process.execPath, [fileURLToPath(new URL("main.js", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      HONNIN_URL: stack.merchantApiUrl,
      HONNIN_WEBHOOK_SECRET: stack.merchantWebhookSecret ?? "",
      AWS_REGION: stack.region,
      AWS_ACCESS_KEY_ID: stack.merchantKey.accessKeyId,
      AWS_SECRET_ACCESS_KEY: stack.merchantKey.secretAccessKey,
      SHOP_FILE: file,
      SHOP_RETURN_URL: `${sandbox.url}/shop/return`,
      PORT: String(port),
    },
  });
  await Promise.race([once(shop.stdout!, "data"), once(shop, "exit")]); // it listens, or it has said why not
  stopHooks = await sandbox.webhooksTo(`${url}/hooks`);
}

async function shut(): Promise<void> {
  shop.kill("SIGKILL");
  await once(shop, "exit");
  await stopHooks();
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port: found } = probe.address() as { port: number };
  probe.close();
  return found;
}
