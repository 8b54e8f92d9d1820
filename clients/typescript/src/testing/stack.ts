/** Finds the local stack of a checkout of Honnin, or starts it; and ends what was started once no test uses it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type AwsCredentials, signed } from "../signing.js";
import { LocalStackError } from "./errors.js";
import { Users } from "./users.js";

/** What `build/local/<name>/stack.json` says (docs/tutorial.md#in-the-background). */
export interface StackDescription {
  name: string;
  region: string;
  /** The AWS emulator. */
  endpoint: string;
  merchantApiUrl: string;
  webhookApiUrl: string;
  /** null: the stack was started without the sandbox. */
  sandboxUrl: string | null;
  /** Signs merchant webhooks. */
  merchantWebhookSecret: string | null;
  merchantKey: AwsCredentials;
  operatorKey: AwsCredentials;
  eventBus: string;
  queues: Record<string, string>;
  outputs: Record<string, string>;
  parameters: Record<string, string>;
}

export interface StackOptions {
  /** A checkout of Honnin. Default: the environment variable HONNIN_HOME. */
  home?: string;
  /** Which stack, if several run side by side. Default: HONNIN_NAME, or that of `make up`. */
  name?: string;
  /** Parameters of the template, as `make up PARAMETERS=` takes them. Default: HONNIN_PARAMETERS. */
  parameters?: Record<string, string>;
  /** `off`: the parameters name another simulator of both providers. Default: HONNIN_SANDBOX, or `on`. */
  sandbox?: "on" | "off";
}

const HEALTH_MS = 5000;
const LAST_LINES = 20;
const MARKS = ["template.yaml", "local/stack.py"];

/** A stack that answers, for as long as a test process uses it. */
export class HeldStack {
  private isLetGo = false;

  private constructor(
    readonly home: string,
    readonly told: StackDescription,
    /** Whether it was started for this process. */
    readonly started: boolean,
    private readonly users: Users,
  ) {}

  static async hold(options: StackOptions): Promise<HeldStack> {
    const home = homeOf(options);
    const name = options.name ?? process.env.HONNIN_NAME ?? "run";
    const folder = join(home, "build", "local", name);
    const users = new Users(join(folder, "tests"));
    const settings = settingsOf(options);
    await users.enter();
    try {
      return await users.alone(async () => {
        const found = await answering(folder);
        if (found && !settings.length) return new HeldStack(home, found, false, users);
        if (!found) await users.markStarted();
        // Of a stack that runs, `make up` says whether it has these settings.
        await make(home, "up", [`NAME=${name}`, ...settings]);
        const told = await answering(folder);
        if (!told) throw new LocalStackError(`the local stack "${name}" was started, but it does not answer`);
        return new HeldStack(home, told, !found, users);
      });
    } catch (error) {
      await users.leave(() => Promise.resolve());
      throw error;
    }
  }

  /** Ends the stack if a test has started it and no other test process uses it. */
  async letGo(): Promise<void> {
    if (this.isLetGo) return;
    this.isLetGo = true;
    await this.users.leave(() => make(this.home, "down", [`NAME=${this.told.name}`]));
  }

  /** Invokes the function whose name the output `output` is, and waits until it has ended. */
  async invoke(output: string, event: object = {}): Promise<unknown> {
    const { endpoint, outputs, operatorKey, region } = this.told;
    const url = `${endpoint}/2015-03-31/functions/${outputs[output] ?? ""}/invocations`;
    const request = new Request(url, { method: "POST", body: JSON.stringify(event) });
    const answer = await fetch(await signed(request, operatorKey, region, new Date(), "lambda"));
    const result: unknown = await answer.json().catch(() => null);
    if (answer.ok && !answer.headers.has("X-Amz-Function-Error")) return result;
    throw new LocalStackError(`the function of ${output} failed (HTTP ${answer.status}): ${JSON.stringify(result)}`);
  }

  /** Runs `honninctl local …` for this stack to its end. */
  async run(command: string): Promise<void> {
    await succeeded(this.local(command), `honninctl local ${command}`);
  }

  /** Starts it. */
  local(command: string, ...options: string[]): ChildProcess {
    const program = join(this.home, ".venv", "bin", "honninctl");
    return spawn(program, ["local", command, "--name", this.told.name, ...options], {
      cwd: this.home,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
}

function homeOf(options: StackOptions): string {
  const given = options.home ?? process.env.HONNIN_HOME;
  if (!given)
    throw new LocalStackError("where is Honnin? Set HONNIN_HOME to a checkout of its repository, or pass home");
  const home = resolve(given);
  if (MARKS.every((mark) => existsSync(join(home, mark)))) return home;
  throw new LocalStackError(`${home} is no checkout of Honnin: it has no ${MARKS.join(" and no ")}`);
}

/** What `make up` is asked for, beside the name. */
function settingsOf(options: StackOptions): string[] {
  const given = options.parameters && Object.entries(options.parameters).map(([name, value]) => `${name}=${value}`);
  const parameters = given?.join(" ") ?? process.env.HONNIN_PARAMETERS ?? "";
  const sandbox = options.sandbox ?? process.env.HONNIN_SANDBOX ?? "on";
  return [...(parameters ? [`PARAMETERS=${parameters}`] : []), ...(sandbox === "on" ? [] : [`SANDBOX=${sandbox}`])];
}

/** The description of the stack, if its emulator and its sandbox answer. */
async function answering(folder: string): Promise<StackDescription | undefined> {
  const text = await readFile(join(folder, "stack.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const told = JSON.parse(text) as StackDescription;
  const asked = [
    `${told.endpoint}/_ministack/health`,
    ...(told.sandboxUrl ? [`${told.sandboxUrl}/_sandbox/health`] : []),
  ];
  const answered = await Promise.all(
    asked.map((url) =>
      fetch(url, { signal: AbortSignal.timeout(HEALTH_MS) }).then(
        (answer) => answer.ok,
        () => false,
      ),
    ),
  );
  return answered.every(Boolean) ? told : undefined;
}

/** Runs a target of the checkout's Makefile; what it says is shown on stderr. */
async function make(home: string, target: string, settings: string[]): Promise<void> {
  const { MAKEFLAGS: _flags, MFLAGS: _old, MAKELEVEL: _level, ...env } = process.env; // of a make that runs the tests
  const child = spawn("make", [target, ...settings], { cwd: home, env, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) stream.pipe(process.stderr, { end: false });
  await succeeded(child, `make ${target}`);
}

async function succeeded(child: ChildProcess, command: string): Promise<void> {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text: Buffer) => (said += text.toString()));
  const ended = await new Promise<number | null | Error>((done) => child.on("error", done).on("close", done));
  if (ended === 0) return;
  if (ended instanceof Error) throw new LocalStackError(`${command} cannot be run: is it installed?`, { cause: ended });
  const last = said.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  throw new LocalStackError(`${command} did not succeed:\n${last}`);
}
