// What test_clients.py does with the TypeScript client: HONNIN_URL, HONNIN_USER and the access key are in the
// environment. It prints what it got, as JSON.
import { createHonnin, RefusedError } from "../../build/clients/typescript/src/index.js";

const { HONNIN_URL, HONNIN_USER, HONNIN_RETURN_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
const honnin = createHonnin({
  url: HONNIN_URL,
  credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  region: "ap-northeast-1",
});
const path = { userId: HONNIN_USER };
const failed = (error) => (error instanceof RefusedError ? error.code : String(error));

const unknown = await honnin.getUser({ path }).catch(failed);
const key = { header: { "Idempotency-Key": `key-${HONNIN_USER}` } };
const body = { userId: HONNIN_USER, usernameFurigana: "テスト ハナコ" };
const first = await honnin.submitToVexora({ body, ...key });
const again = await honnin.submitToVexora({ body, ...key });
let user;
for (let tries = 0; tries < 300 && !user?.verified; tries++) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  user = await honnin.getUser({ path });
}
const twice = await honnin.submitToVexora({ body }).catch(failed);
const link = await honnin.createAccountLink({
  body: { userId: HONNIN_USER, scopes: ["get_kyc_info"], returnUrl: HONNIN_RETURN_URL },
});
const { users } = await honnin.listUsers({ query: { provider: "vexora", status: "APPROVED", since: "2026-01-01T00:00:00Z" } });
const { entries } = await honnin.getTimeline({ path, query: { limit: 5 } });
const looked = await honnin.lookUpUsers({ body: { userIds: [HONNIN_USER, "nobody"] } });
const invalid = await honnin.lookUpUsers({ body: { userIds: [] } }).catch((error) => error.problem.errors[0].field);
const counts = await honnin.countUsers();
const erased = await honnin.eraseUser({ path, query: { unlink: true } });
console.log(
  JSON.stringify({
    unknown,
    sameSubmission: first.submissionId === again.submissionId,
    twice,
    verified: user.verified,
    atVexora: user.providers.vexora?.status,
    atPayPay: user.providers.paypay ?? null,
    link: link.linkQRCodeURL.startsWith("http"),
    listed: users.some((each) => each.userId === HONNIN_USER),
    timeline: entries.length > 0,
    looked: [looked.users[0].userId === HONNIN_USER, looked.unknown],
    invalid,
    counted: counts.counts.vexora.APPROVED > 0,
    erased: erased.userId === HONNIN_USER,
  }),
);
