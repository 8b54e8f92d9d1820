/** The hand-written parts without a network; the signature is botocore's (tests/unit/test_client_python.py). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import {
  createHonnin,
  HonninError,
  InvalidWebhookError,
  NoAnswerError,
  NotSentError,
  NotUnderstoodError,
  RefusedError,
  signed,
  verify,
  type Honnin,
  type HonninOptions,
  type UserView,
} from "../src/index.js";

const URL_ = "https://abcde12345.execute-api.ap-northeast-1.amazonaws.com/v1";
const LOCAL = "http://127.0.0.1:9000/restapis/abcde12345/v1/_user_request_";
const KEY = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const NOON = new Date("2026-11-28T12:00:00Z");
const SUBMISSION = { body: { userId: "shop:1@a", usernameFurigana: "テスト ハナコ" } };
const USER: UserView = { userId: "u", providers: {}, verified: true, verifiedReason: "PAYPAY_VERIFIED" };

type Fault = { fault: unknown };

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
const problem = (code: string, status: number, headers = {}) =>
  json(status, { type: `urn:honnin:problem:${code}`, code, title: "A sentence", status }, headers);
const fault = (code: string): Fault => ({ fault: Object.assign(new TypeError("fetch failed"), { cause: { code } }) });

function shop(answers: (Response | Fault)[], more: Partial<HonninOptions> = {}): { honnin: Honnin; got: Request[] } {
  const got: Request[] = [];
  const honnin = createHonnin({
    url: URL_,
    credentials: KEY,
    retries: { firstWaitS: 0 },
    fetch: async (request) => {
      got.push(request);
      const answer = answers.shift();
      if (answer instanceof Response) return answer;
      throw answer?.fault ?? new Error("no more answers");
    },
    ...more,
  });
  return { honnin, got };
}

async function failure(call: Promise<unknown>): Promise<HonninError> {
  const error = await call.then(() => undefined, (raised: unknown) => raised);
  assert.ok(error instanceof HonninError, String(error));
  return error;
}

test("ids are encoded in the path, after any url", async () => {
  for (const [url, id, sent] of [
    [URL_, "shop:1@a", `${URL_}/users/shop%3A1%40a`],
    [`${URL_}/`, "user-1", `${URL_}/users/user-1`],
    [LOCAL, "a..b", `${LOCAL}/users/a..b`],
  ] as const) {
    const { honnin, got } = shop([json(200, USER)], { url, region: "ap-northeast-1" });
    const user = await honnin.getUser({ path: { userId: id } });
    assert.equal(got[0]?.url, sent);
    assert.equal(user.verified, true);
    assert.equal(user.providers.paypay, undefined);
  }
});

test("a known signature", async () => {
  const body = JSON.stringify(SUBMISSION.body);
  const headers = { "Content-Type": "application/json" };
  const request = await signed(new Request(`${URL_}/vexora/submissions`, { method: "POST", body, headers }), KEY, undefined, NOON);
  assert.equal(
    request.headers.get("Authorization"),
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/ap-northeast-1/execute-api/aws4_request, " +
      "SignedHeaders=content-type;host;x-amz-date, " +
      "Signature=b7812f35c88b7403af9812ab54a0b0a385fd46532ff3fce6f8393f7800fff548",
  );
  assert.equal(await request.text(), body);
});

test("a known signature of a path and a query with reserved letters", async () => {
  const query = "provider=paypay&status=VERIFIED&since=2026-11-28T00%3A00%3A00Z&limit=50&cursor=a%2B%2F%3D";
  const request = await signed(new Request(`${URL_}/users/shop%3A1%40a?${query}`), KEY, undefined, NOON);
  assert.match(request.headers.get("Authorization") ?? "", /SignedHeaders=host;x-amz-date, Signature=e4470abd1ccd7bbe5f782338243ddda62df88af7a9090f2a8c3bb9f04007d8e0$/);
});

test("each try is signed anew, with a session token", async () => {
  const { honnin, got } = shop([problem("user-busy", 503), json(200, USER)], {
    credentials: async () => ({ ...KEY, sessionToken: "token" }),
  });
  await honnin.getUser({ path: { userId: "u" } });
  assert.deepEqual(got.map((each) => each.headers.get("X-Amz-Security-Token")), ["token", "token"]);
});

test("the class says what became of a call", async () => {
  for (const [answer, Kind] of [
    [fault("ECONNREFUSED"), NotSentError],
    [fault("UND_ERR_CONNECT_TIMEOUT"), NotSentError],
    [fault("DEPTH_ZERO_SELF_SIGNED_CERT"), NotSentError],
    [fault("ECONNRESET"), NoAnswerError],
    [{ fault: new DOMException("late", "TimeoutError") }, NoAnswerError],
    [problem("provider-not-reached", 503), NotSentError],
    [problem("too-many-requests", 429), NotSentError],
    [problem("provider-timeout", 504), NoAnswerError],
    [problem("unexpected", 500), NoAnswerError],
    [problem("user-unknown", 404), RefusedError],
    [problem("brand-new", 409), RefusedError],
    [problem("provider-not-understood", 502), NotUnderstoodError],
    [new Response("<html>", { status: 502 }), NotUnderstoodError],
    [json(403, ["no problem"]), NotUnderstoodError],
    [new Response("<html>", { status: 200 }), NotUnderstoodError],
    [json(200, "text"), NotUnderstoodError],
  ] as const) {
    const { honnin } = shop([answer], { retries: { tries: 1 } });
    const error = await failure(honnin.getUser({ path: { userId: "secret-id" } }));
    assert.equal(error.constructor, Kind, error.message);
    assert.ok(!error.message.includes("secret-id"));
  }
});

const CALLS: Record<string, (honnin: Honnin) => Promise<unknown>> = {
  read: (honnin) => honnin.countUsers(),
  lookUp: (honnin) => honnin.lookUpUsers({ body: { userIds: ["u"] } }),
  erase: (honnin) => honnin.eraseUser({ path: { userId: "u" }, query: { unlink: true } }),
  submit: (honnin) => honnin.submitToVexora(SUBMISSION),
  link: (honnin) =>
    honnin.createAccountLink({ body: { userId: "u", scopes: ["get_kyc_info"], returnUrl: "https://shop.example.jp/" } }),
};

test("any call is made again if nothing has happened, and only some after no answer", async () => {
  for (const [name, call] of Object.entries(CALLS)) {
    for (const answer of [fault("ECONNREFUSED"), problem("user-busy", 503), problem("too-many-requests", 429)]) {
      const { honnin, got } = shop([answer, problem("user-unknown", 404)]);
      assert.equal((await failure(call(honnin))).code, "user-unknown");
      assert.equal(got.length, 2);
    }
    for (const answer of [fault("ECONNRESET"), problem("gateway-timeout", 504), new Response("", { status: 502 })]) {
      const { honnin, got } = shop([answer, problem("user-unknown", 404)]);
      await failure(call(honnin));
      assert.equal(got.length, name === "link" ? 1 : 2, name);
    }
  }
});

test("a refusal is final, and a long wait is left to the caller", async () => {
  for (const answer of [problem("field-invalid", 422), problem("user-busy", 503, { "Retry-After": "300" })]) {
    const { honnin, got } = shop([answer]);
    await failure(honnin.countUsers());
    assert.equal(got.length, 1);
  }
});

test("what comes after an unclear try cannot say that nothing has happened", async () => {
  for (const [last, Kind] of [
    [fault("ECONNREFUSED"), NoAnswerError],
    [problem("user-busy", 503), NoAnswerError],
    [problem("field-invalid", 422), RefusedError],
  ] as const) {
    const { honnin } = shop([fault("ECONNRESET"), last], { retries: { tries: 2, firstWaitS: 0 } });
    assert.equal((await failure(honnin.submitToVexora(SUBMISSION))).constructor, Kind);
  }
});

test("what an operation takes and answers is typed", () => {
  const typed = (honnin: Honnin) => [
    // @ts-expect-error -- the path is required
    honnin.getUser(),
    // @ts-expect-error -- there is no such provider
    honnin.listUsers({ query: { provider: "other", status: "VERIFIED" } }),
    // @ts-expect-error -- there is no such field
    honnin.submitToVexora({ body: { userId: "u", name: "n" } }),
    // @ts-expect-error -- there is no such status
    honnin.getUser({ path: { userId: "u" } }).then((user) => user.providers.paypay?.status === "APPROVED"),
    honnin.getUser({ path: { userId: "u" } }).then((user) => user.providers.vexora?.status === "APPROVED"),
  ];
  assert.ok(typed);
});

test("a submission keeps its Idempotency-Key through all tries", async () => {
  const accepted = { submissionId: "s", userId: "u", status: "PENDING" };
  const { honnin, got } = shop([fault("ECONNRESET"), json(201, accepted), json(201, accepted)]);
  assert.equal((await honnin.submitToVexora(SUBMISSION)).status, "PENDING");
  await honnin.submitToVexora({ ...SUBMISSION, header: { "Idempotency-Key": "mine" } });
  const [first, second, third] = got.map((each) => each.headers.get("Idempotency-Key"));
  assert.ok(first);
  assert.equal(first, second);
  assert.equal(third, "mine");
});

test("a webhook of ours is verified and typed, anything else is refused", () => {
  const secret = `whsec_${Buffer.from("k".repeat(32)).toString("base64")}`;
  const body = JSON.stringify({ type: "kyc.status.changed", timestamp: "", data: { userId: "shop:1@a", to: "VERIFIED" } });
  const headers = (at: Date) => ({
    "Webhook-Id": "msg_1",
    "Webhook-Timestamp": String(Math.floor(at.getTime() / 1000)),
    "Webhook-Signature": new StandardWebhook(secret).sign("msg_1", at, body),
  });
  const { id, event } = verify(Buffer.from(body), headers(new Date()), secret);
  assert.equal(id, "msg_1");
  assert.equal(event.type === "kyc.status.changed" && event.data.userId, "shop:1@a");
  for (const [given, sent] of [
    [`${body} `, headers(new Date())],
    [body, headers(new Date(0))],
    [body, {}],
  ] as const) {
    assert.throws(() => verify(given, sent, secret), InvalidWebhookError);
  }
});
