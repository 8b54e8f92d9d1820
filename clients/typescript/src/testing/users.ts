/** Which test processes use a stack: test runners start one for each file, side by side. */
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const POLL_MS = 200;

/** A folder with a file for each use, and one that says that a test has started the stack. */
export class Users {
  private readonly own = `use-${process.pid}-${crypto.randomUUID()}`;

  constructor(private readonly folder: string) {}

  async enter(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await writeFile(this.at(this.own), String(process.pid));
  }

  /** From now on the last one to leave ends the stack. */
  async markStarted(): Promise<void> {
    await writeFile(this.at("started"), "");
  }

  /** Does nothing beside another process that does this. Only between `enter` and `leave`. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (!(await this.locked())) {
      if (!(await this.lives("lock"))) await this.remove("lock"); // of a test that was killed
      await pause(POLL_MS);
    }
    try {
      return await work();
    } finally {
      await this.remove("lock");
    }
  }

  /** Calls `end` if nobody is left who uses a stack that a test has started. */
  async leave(end: () => Promise<void>): Promise<void> {
    await this.alone(async () => {
      await this.remove(this.own);
      const names = await readdir(this.folder);
      for (const each of names.filter((name) => name.startsWith("use-"))) {
        if (await this.lives(each)) return;
        await this.remove(each);
      }
      if (!names.includes("started")) return;
      await this.remove("started");
      await end();
    });
  }

  /** The lock is a second name of a file that is complete already. */
  private async locked(): Promise<boolean> {
    try {
      await link(this.at(this.own), this.at("lock"));
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  /** Whether the process that wrote the file is alive. */
  private async lives(name: string): Promise<boolean> {
    try {
      return process.kill(Number(await readFile(this.at(name), "utf8")), 0);
    } catch (error) {
      return codeOf(error) !== "ESRCH";
    }
  }

  private async remove(name: string): Promise<void> {
    await rm(this.at(name), { force: true });
  }

  private at(name: string): string {
    return join(this.folder, name);
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code;
}
