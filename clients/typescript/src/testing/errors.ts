/** A test's local stack cannot be used: it was not found, it did not start, or what a test waited for did not come. */
export class LocalStackError extends Error {
  override readonly name = "LocalStackError";
}
