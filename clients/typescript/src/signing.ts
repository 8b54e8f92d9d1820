/** Signs each request with SigV4, by AWS's own signer. */
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { NotSentError } from "./errors.js";

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}

/** As the AWS SDK has them: `fromNodeProviderChain()` of `@aws-sdk/credential-providers` is one. */
export type CredentialsProvider = () => Promise<AwsCredentials>;

const HOST = /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com$/;

/** The same request, signed for `execute-api`. `at` is the time of the signature. */
export async function signed(
  request: Request,
  credentials: AwsCredentials | CredentialsProvider,
  region?: string,
  at: Date = new Date(),
  service = "execute-api",
): Promise<Request> {
  const url = new URL(request.url);
  const where = region ?? HOST.exec(url.hostname)?.[1] ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  if (!where) throw new NotSentError("no AWS region is configured: pass region");
  const signer = new SignatureV4({ credentials, region: where, service, sha256: Sha256, applyChecksum: false });
  const body = request.body ? await request.clone().text() : undefined;
  const contentType = request.headers.get("Content-Type");
  const { headers } = await signer.sign(
    {
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host, ...(contentType ? { "content-type": contentType } : {}) },
      body,
    },
    { signingDate: at },
  );
  const sent = new Headers(request.headers);
  for (const [name, value] of Object.entries(headers)) if (name !== "host") sent.set(name, value);
  return new Request(request, { headers: sent });
}
