/** The client: a method for each operation of the merchant API, signed, with retries where they are safe. */
import createClient from "openapi-fetch";
import { HonninError, NotUnderstoodError, ofAnswer, ofFailure } from "./errors.js";
import { routes } from "./generated/operations.js";
import type { operations, paths } from "./generated/schema.js";
import { RETRIES, type Retries, Tries } from "./retries.js";
import { type AwsCredentials, type CredentialsProvider, signed } from "./signing.js";

export type OperationId = keyof typeof routes;

type Given<P, Name extends string> = Name extends keyof P ? Exclude<P[Name], undefined> : never;
type Part<P, Name extends string> = [Given<P, Name>] extends [never]
  ? unknown
  : Record<never, never> extends Pick<P, Name & keyof P>
    ? { [K in Name]?: Given<P, Name> }
    : { [K in Name]: Given<P, Name> };
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } } ? { body: B } : unknown;
type Content<R> = R extends { content: { "application/json": infer T } } ? T : never;

/** What an operation takes: `path`, `query`, `header` and `body`, as docs/openapi.json says. */
export type Input<Id extends OperationId> = Part<operations[Id]["parameters"], "path"> &
  Part<operations[Id]["parameters"], "query"> &
  Part<operations[Id]["parameters"], "header"> &
  Body<operations[Id]>;
/** What an operation answers. */
export type Answer<Id extends OperationId> = Content<operations[Id]["responses"][keyof operations[Id]["responses"]]>;

/** A method for each operation. Each rejects with a `HonninError` unless Honnin answers 2xx. */
export type Honnin = {
  [Id in OperationId]: (
    ...input: Record<never, never> extends Input<Id> ? [input?: Input<Id>] : [input: Input<Id>]
  ) => Promise<Answer<Id>>;
};

export interface HonninOptions {
  /** Output `MerchantApiUrl`. */
  url: string;
  /** Static ones, or a provider such as `fromNodeProviderChain()`. */
  credentials: AwsCredentials | CredentialsProvider;
  /** Default: the one in the URL, or AWS_REGION. */
  region?: string;
  retries?: Partial<Retries>;
  /** Replaces `fetch`, for a proxy or for tests. */
  fetch?: (request: Request) => Promise<Response>;
  /** After how many seconds a try without an answer ends. API Gateway answers after 29 at the latest. */
  timeoutS?: number;
}

interface Parts {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  header?: Record<string, string>;
  body?: unknown;
}

/** A client of the merchant API. */
export function createHonnin(options: HonninOptions): Honnin {
  const send = options.fetch ?? ((request: Request) => fetch(request));
  const timeoutMs = (options.timeoutS ?? 35) * 1000;
  const retries = { ...RETRIES, ...options.retries };
  const client = createClient<paths>({
    baseUrl: options.url.replace(/\/+$/, ""),
    redirect: "manual",
    fetch: async (request) => send(await signed(request, options.credentials, options.region)),
  });

  async function once(id: OperationId, parts: Parts): Promise<unknown> {
    const { method, path } = routes[id];
    const init = { params: { path: parts.path, query: parts.query, header: parts.header }, body: parts.body };
    const request = client.request as (method: string, path: string, init: unknown) => Promise<Fetched>;
    const fetched = await request(method.toLowerCase(), path, { ...init, signal: AbortSignal.timeout(timeoutMs) }).catch(
      (cause: unknown) => Promise.reject(ofFailure(cause)),
    );
    if (!fetched.response.ok) throw ofAnswer(fetched.response, fetched.error);
    if (typeof fetched.data === "object" && fetched.data !== null) return fetched.data;
    throw new NotUnderstoodError(`an answer with HTTP ${fetched.response.status} that is no object`);
  }

  async function call(id: OperationId, given: Parts = {}): Promise<unknown> {
    const parts = id === "submitToVexora" ? withKey(given) : given;
    const repeatable = routes[id].method !== "POST" || id === "lookUpUsers" || id === "submitToVexora";
    const tries = new Tries(retries, repeatable);
    for (;;) {
      try {
        return await once(id, parts);
      } catch (error) {
        if (!(error instanceof HonninError)) throw error;
        const waitS = tries.waitS(error);
        await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
      }
    }
  }

  const methods = Object.keys(routes).map((id) => [id, (parts?: Parts) => call(id as OperationId, parts)]);
  return Object.fromEntries(methods) as Honnin;
}

interface Fetched {
  data?: unknown;
  error?: unknown;
  response: Response;
}

/** With an Idempotency-Key, the same for each try. */
function withKey(parts: Parts): Parts {
  return { ...parts, header: { "Idempotency-Key": crypto.randomUUID(), ...parts.header } };
}
