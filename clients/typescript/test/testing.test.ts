/** `honnin-client/testing` on a checkout that is made up: a Makefile, a honninctl and an HTTP server that play a stack. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { localStack, LocalStackError } from "../src/testing/index.js";

const SECRET = `whsec_${Buffer.from("k".repeat(32)).toString("base64")}`;
const KEY = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" };
const UNKNOWN = { code: "user-unknown", title: "Nobody", status: 404 };
const MAKEFILE = `
up:
\t@echo "$(strip up $(NAME) $(PARAMETERS) $(SANDBOX))" >>log
\t@test ! -e refuses || { echo "a first line"; echo "A port is taken: 4566." >&2; exit 1; }
\t@sed 's/"name":"run"/"name":"$(NAME)"/' stack.json >build/local/$(NAME)/stack.json
down:
\t@echo "down $(NAME)" >>log
\t@rm -f build/local/$(NAME)/stack.json
`;
const EVENT = {
  source: "honnin",
  "detail-type": "KycStatusChanged",
  time: "2026-11-28T12:00:00Z",
  detail: { userId: "hanako", provider: "paypay", from: null, to: "LINKED" },
};
const HONNINCTL = `#!/bin/sh
echo "$@" >>log
test "$2" = events || exit 0
test ! -e silent || { echo "No local stack is running." >&2; exit 1; }
sleep 60 &
trap "kill $!; sleep 0.5; exit 143" TERM
echo "Listening to the bus." >&2
echo '${JSON.stringify(EVENT)}'
wait
`;

interface Asked {
  method: string;
  path: string;
  body: unknown;
  headers: IncomingMessage["headers"];
}

let home: string;
let asked: Asked[];
let answers: Record<string, { status: number; body: unknown; headers?: Record<string, string> }>;

const server = createServer(async (request, response) => {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  const { method = "", url = "", headers } = request;
  const form = headers["content-type"]?.includes("form");
  asked.push({ method, path: url, body: text && !form ? JSON.parse(text) : text, headers });
  const { status, body, headers: sent } = answers[`${method} ${url}`] ?? { status: 200, body: {} };
  response.writeHead(status, { "Content-Type": "application/json", ...sent }).end(JSON.stringify(body));
});
const at = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

before(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)));
after(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  [asked, answers] = [[], {}];
  home = mkdtempSync(join(tmpdir(), "honnin-"));
  for (const folder of ["local", ".venv/bin", "build/local/run", "build/local/mine"])
    mkdirSync(join(home, folder), { recursive: true });
  for (const mark of ["template.yaml", "local/stack.py"]) writeFileSync(join(home, mark), "");
  writeFileSync(join(home, "Makefile"), MAKEFILE);
  writeFileSync(join(home, ".venv/bin/honninctl"), HONNINCTL);
  chmodSync(join(home, ".venv/bin/honninctl"), 0o755);
  describe({});
});

afterEach(() => {
  for (const name of ["HONNIN_HOME", "HONNIN_NAME", "HONNIN_PARAMETERS", "HONNIN_SANDBOX"]) delete process.env[name];
});

/** What the stack tells once it is up. */
function describe(more: object): void {
  const told = {
    name: "run",
    region: "ap-northeast-1",
    endpoint: at(),
    merchantApiUrl: `${at()}/v1`,
    sandboxUrl: at(),
  };
  const keys = { merchantKey: KEY, operatorKey: KEY, merchantWebhookSecret: SECRET };
  const outputs = { ReconDownloadFunctionName: "recon", VexoraStatusPollFunctionName: "poll" };
  writeFileSync(join(home, "stack.json"), JSON.stringify({ ...told, ...keys, outputs, ...more }));
}

const running = () => writeFileSync(join(home, "build/local/run/stack.json"), readFileSync(join(home, "stack.json")));
const log = () => (existsSync(join(home, "log")) ? readFileSync(join(home, "log"), "utf8").trim().split("\n") : []);
const calls = () =>
  asked
    .map(({ method, path, body }) => [method, path.replace("/_sandbox", ""), body])
    .filter(([, path]) => !String(path).endsWith("/health"));

async function failure(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (raised: unknown) => raised,
  );
  assert.ok(error instanceof LocalStackError, String(error));
  return error.message;
}

test("a stack that runs is taken, and left running", async () => {
  running();
  process.env.HONNIN_HOME = home;
  const { stack, close } = await localStack();
  assert.equal(stack.started, false);
  assert.equal(stack.endpoint, at());
  await close();
  assert.deepEqual(log(), []);
});

test("without one it is started with its settings, and ended by the last test process that uses it", async () => {
  const first = await localStack({ home, name: "mine", parameters: { SettleDelays: "1,2", VerifiedNeeds: "both" } });
  const second = await localStack({ home, name: "mine" });
  assert.deepEqual([first.stack.started, second.stack.started], [true, false]);
  await first.close();
  await first.close();
  assert.deepEqual(log(), ["up mine SettleDelays=1,2 VerifiedNeeds=both"]);
  writeFileSync(join(home, "build/local/mine/tests/use-of-a-killed-one"), "99999999");
  await second.close();
  assert.equal(log().at(-1), "down mine");
});

test("many that begin at once start it once", async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => localStack({ home })));
  assert.equal(log().length, 1);
  await Promise.all(all.map((each) => each.close()));
  assert.deepEqual(log(), ["up run", "down run"]);
});

test("the environment says which one, and the options win over it", async () => {
  Object.assign(process.env, {
    HONNIN_HOME: home,
    HONNIN_NAME: "mine",
    HONNIN_PARAMETERS: "A=1 B=2",
    HONNIN_SANDBOX: "off",
  });
  await localStack();
  await localStack({ name: "run", parameters: { C: "3" }, sandbox: "on" });
  assert.deepEqual(log(), ["up mine A=1 B=2 off", "up run C=3"]);
});

test("each reason why there is no stack is a sentence", async () => {
  assert.match(await failure(localStack()), /HONNIN_HOME/);
  assert.match(await failure(localStack({ home: join(home, "local") })), /is no checkout of Honnin/);
  writeFileSync(join(home, "refuses"), "");
  assert.match(await failure(localStack({ home })), /make up did not succeed:\n(.*\n)*A port is taken: 4566\./);
  assert.equal(existsSync(join(home, "build/local/run/tests/started")), false);
  const path = process.env.PATH;
  process.env.PATH = join(home, "local");
  try {
    assert.match(await failure(localStack({ home })), /make up cannot be run/);
  } finally {
    process.env.PATH = path;
  }
});

test("a description that nobody stands behind any more is not taken", async () => {
  writeFileSync(
    join(home, "build/local/run/stack.json"),
    JSON.stringify({ endpoint: "http://127.0.0.1:1", sandboxUrl: null }),
  );
  await (await localStack({ home })).close();
  assert.deepEqual(log(), ["up run", "down run"]);
});

test("each act is one call of the sandbox, and applications to Vexora wait", async () => {
  running();
  const { sandbox } = await localStack({ home });
  const user = sandbox.user("shop:1@a");
  assert.equal(sandbox.user("shop:1@a"), user);
  await user.approve();
  await user.reject("氏名", "lost");
  await user.resultAgain("twice");
  await user.flag();
  await user.clearFlag("late");
  await user.updateKyc({ completed: false });
  await user.accountStatus("canceled");
  await user.cancelLink();
  await sandbox.loseNextWebhook();
  await sandbox.loseNextWebhook("shop:1@a");
  await sandbox.maintenance(async () => void (await sandbox.dials("vexora", { review: "approve" })));
  await user.expireLink();
  const at = "shop%3A1%40a";
  assert.deepEqual(calls(), [
    ["PUT", `/dials/vexora/${at}`, { review: "none" }],
    ["POST", `/vexora/users/${at}/review`, { outcome: "approve", delivery: "sent" }],
    ["PUT", `/dials/vexora/${at}`, { reason: "氏名" }],
    ["POST", `/vexora/users/${at}/review`, { outcome: "reject", delivery: "lost" }],
    ["POST", `/vexora/users/${at}/review`, { outcome: "again", delivery: "twice" }],
    ["POST", `/paypay/users/${at}/risk`, { flag: "UNACCEPTABLE_OP", delivery: "sent" }],
    ["POST", `/paypay/users/${at}/risk`, { flag: null, delivery: "late" }],
    ["POST", `/paypay/users/${at}/kyc-updated`, { completed: false, delivery: "sent" }],
    ["POST", `/paypay/users/${at}/account`, { status: "canceled", delivery: "sent" }],
    ["POST", `/paypay/users/${at}/authorization`, { state: "unlinked", delivery: "sent" }],
    ["POST", "/lose-next", {}],
    ["POST", "/lose-next", { user: "shop:1@a" }],
    ["PUT", "/dials/paypay", { maintenance: "on" }],
    ["PUT", "/dials/vexora", { review: "approve" }],
    ["PUT", "/dials/paypay", { maintenance: null }],
    ["POST", `/paypay/users/${at}/authorization`, { state: "expired" }],
  ]);
});

test("whom nobody has submitted is decided at the application, and a decision is not taken back", async () => {
  running();
  const { sandbox } = await localStack({ home });
  const review = "/_sandbox/vexora/users/u/review";
  answers[`POST ${review}`] = { status: 404, body: { error: "has not applied" } };
  answers["GET /_sandbox/vexora/users/u"] = { status: 200, body: { status: null } };
  await sandbox.user("u").approve("lost");
  assert.deepEqual(calls().at(-1), [
    "PUT",
    "/dials/vexora/u",
    { review: "approve", review_delay_s: 0, callback: "dropped" },
  ]);
  answers[`POST ${review}`] = { status: 409, body: { error: "is decided already" } };
  answers["GET /_sandbox/vexora/users/u"] = { status: 200, body: { status: "2" } };
  await sandbox.user("u").approve();
  assert.match(await failure(sandbox.user("u").reject()), /has approved u already/);
  answers["POST /_sandbox/paypay/users/u/risk"] = { status: 404, body: { error: "The user 'u' has not linked." } };
  assert.match(await failure(sandbox.user("u").flag()), /\(404\).*has not linked/);
});

test("Vexora is asked until it has been asked about the user", async () => {
  running();
  const { sandbox } = await localStack({ home });
  const asks = (times: number) =>
    (answers["GET /_sandbox/vexora/users/u"] = { status: 200, body: { query_calls: times } });
  asks(1);
  setTimeout(asks, 300, 2);
  await sandbox.user("u").poll();
  const invoked = asked.filter(({ path }) => path === "/2015-03-31/functions/poll/invocations");
  assert.ok(invoked.length > 1);
  assert.match(invoked[0]?.headers.authorization ?? "", /\/ap-northeast-1\/lambda\/aws4_request/);
  assert.match(await failure(sandbox.user("u").poll({ timeoutS: 0 })), /is a submission open/);
  const failed = { status: 200, body: { errorType: "KeyError" }, headers: { "X-Amz-Function-Error": "Unhandled" } };
  answers["POST /2015-03-31/functions/poll/invocations"] = failed;
  assert.match(await failure(sandbox.user("u").poll()), /VexoraStatusPollFunctionName failed.*KeyError/);
});

test("a user links in the browser's way", async () => {
  running();
  const { sandbox } = await localStack({ home });
  answers["POST /v1/paypay/account-links"] = { status: 201, body: { linkQRCodeURL: `${at()}/consent` } };
  answers["POST /consent"] = { status: 303, body: {}, headers: { Location: `${at()}/callback?token=1` } };
  answers["GET /callback?token=1"] = {
    status: 302,
    body: {},
    headers: { Location: "https://shop.example.jp/?result=succeeded" },
  };
  await sandbox.user("u").link();
  const [, link, consent] = calls();
  assert.deepEqual(link?.[2], {
    userId: "u",
    scopes: ["mini_app_kyc_passport", "get_kyc_info"],
    returnUrl: `${at()}/shop/return`,
  });
  assert.equal(consent?.[2], "decision=allow");
  assert.equal(await sandbox.user("u").decline(`${at()}/consent`), "https://shop.example.jp/?result=succeeded");
  answers["POST /consent"] = { status: 410, body: {} };
  assert.match(await failure(sandbox.user("u").allow(`${at()}/consent`)), /HTTP 410/);
});

test("a night is over when all files are compared that PayPay has sent notifications of", async () => {
  running();
  const { sandbox } = await localStack({ home });
  const day = "2026-11-28";
  const files = ["kyc", "risk", "lost"].map((sha256) => ({
    day,
    sha256,
    notification: sha256 === "lost" ? "dropped" : "delivered",
  }));
  answers["POST /_sandbox/paypay/recon-night"] = { status: 200, body: { files } };
  answers["GET /_sandbox/paypay/recon-files"] = {
    status: 200,
    body: { files: [...files, { ...files[0], day: "2026-11-01", sha256: "old" }] },
  };
  const report = (...states: string[]) => {
    const reported = states.map((state, at) => ({ sha256: files[at]?.sha256, state }));
    answers[`GET /v1/recon/reports/${day}`] = { status: 200, body: { date: day, files: reported, types: [] } };
  };
  answers[`GET /v1/recon/reports/${day}`] = { status: 404, body: { ...UNKNOWN, code: "recon-day-unknown" } };
  setTimeout(report, 300, "COMPARED", "STORED");
  setTimeout(report, 600, "COMPARED", "COMPARED");
  assert.equal(await sandbox.reconNight(), day);
  const invoked = asked.filter(({ path }) => path === "/2015-03-31/functions/recon/invocations");
  assert.ok(invoked.length > 1);
});

test("a time-out says what is there instead", async () => {
  running();
  const { awaitStatus } = await localStack({ home });
  answers["GET /v1/users/u"] = { status: 404, body: UNKNOWN };
  answers["GET /v1/users/u/timeline?limit=5"] = { status: 404, body: UNKNOWN };
  assert.equal(
    await failure(awaitStatus("u", { status: "VERIFIED", timeoutS: 0 })),
    "u is not VERIFIED after 0 s.\nHonnin does not know this user.",
  );
  const user = {
    userId: "u",
    verified: false,
    verifiedReason: "NOT_VERIFIED",
    providers: { paypay: { status: "LINKED" } },
  };
  const entry = {
    at: "2026-11-28T12:00:00Z",
    provider: "paypay",
    what: "linked",
    cause: "user",
    from: "LINK_PENDING",
    to: "LINKED",
  };
  answers["GET /v1/users/u"] = { status: 200, body: user };
  answers["GET /v1/users/u/timeline?limit=5"] = { status: 200, body: { entries: [entry], cursor: null } };
  for (const [wanted, said] of [
    [{ verified: true }, "verified"],
    [{ provider: "vexora" }, "known at vexora"],
    [{ status: "LINKED", provider: "vexora" }, "LINKED at vexora"],
    [{ status: "LINKED", verified: true }, "LINKED and verified"],
  ] as const) {
    assert.equal(
      await failure(awaitStatus("u", { ...wanted, timeoutS: 0.2 })),
      `u is not ${said} after 0.2 s.\nIt is: paypay LINKED, verified false (NOT_VERIFIED).\n` +
        "The latest entries of the timeline:\n  2026-11-28T12:00:00Z paypay linked (user): LINK_PENDING -> LINKED",
    );
  }
  for (const wanted of [
    {},
    { status: "LINKED" },
    { status: "LINKED", provider: "paypay", verified: false },
    { provider: "paypay" },
  ] as const) {
    assert.equal((await awaitStatus("u", wanted)).userId, "u");
  }
});

test("events are those since listening began", async () => {
  running();
  const { events, close } = await localStack({ home });
  const bus = await events();
  const { detail } = await bus.wait("KycStatusChanged", { userId: "hanako" });
  assert.equal(detail.to, "LINKED");
  assert.equal(bus.of("KycStatusChanged", "another").length, 0);
  assert.equal(
    await failure(bus.wait("UserErased", { userId: "hanako", timeoutS: 0 })),
    "No UserErased of hanako has come within 0 s. What has come: KycStatusChanged hanako.",
  );
  await close();
  writeFileSync(join(home, "silent"), "");
  assert.match(await failure(events()), /No local stack is running\./);
});

test("a test process ends by itself, whether it closes what it opened or not", async () => {
  running();
  const testing = new URL("../src/testing/index.js", import.meta.url);
  const script = `import { localStack } from "${testing}"; const { events, merchantWebhooks, close } = await localStack();
    await (await events()).wait("KycStatusChanged");`;
  for (const end of ["await merchantWebhooks();", "await close();"]) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script + end], {
      env: { ...process.env, HONNIN_HOME: home },
      stdio: "inherit",
      timeout: 20_000,
    });
    assert.deepEqual(await once(child, "exit"), [0, null], end); // 13: it waits for what cannot come any more
  }
});

test("merchant webhooks are received, verified", async () => {
  running();
  const { merchantWebhooks, close } = await localStack({ home });
  const hooks = await merchantWebhooks();
  assert.deepEqual(calls(), [["POST", "/shop/receivers", { url: hooks.url }]]);
  const body = JSON.stringify({ type: "user.erased", timestamp: "", data: { userId: "hanako", version: 1 } });
  const send = async (secret: string) => {
    const now = new Date();
    const signature = new StandardWebhook(secret).sign("msg_1", now, body);
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(+now / 1000)),
      "webhook-signature": signature,
    };
    return (await fetch(hooks.url, { method: "POST", body, headers })).status;
  };
  assert.equal(await send(`whsec_${Buffer.from("x".repeat(32)).toString("base64")}`), 401);
  hooks.answer = 500;
  assert.equal(await send(SECRET), 500);
  assert.match(await failure(hooks.wait("user.erased", { timeoutS: 0 })), /nothing/);
  hooks.answer = 204;
  assert.equal(await send(SECRET), 204);
  assert.equal((await hooks.wait("user.erased", { userId: "hanako" })).event.data.version, 1);
  assert.equal(hooks.received("another").length, 0);
  await close();
  assert.deepEqual(calls().at(-1), ["DELETE", "/shop/receivers", { url: hooks.url }]);
  describe({ merchantWebhookSecret: null });
  running();
  assert.match(await failure((await localStack({ home })).merchantWebhooks()), /MerchantWebhookUrl/);
});

test("a reset empties the stack, and nothing is set for a user any more", async () => {
  running();
  const { reset, sandbox } = await localStack({ home });
  await sandbox.user("u").waits;
  await reset();
  assert.deepEqual(log(), ["local reset --name run"]);
  await sandbox.user("u").waits;
  assert.equal(calls().length, 2);
});

test("without the sandbox only what needs it fails", async () => {
  describe({ sandboxUrl: null });
  running();
  const { sandbox } = await localStack({ home });
  assert.throws(() => sandbox.url, /without the sandbox/);
  assert.match(await failure(sandbox.user("u").approve()), /without the sandbox/);
});
