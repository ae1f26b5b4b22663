/** What a call throws or its promise rejects with, whatever it is; `undefined` if it succeeds. */
export async function thrownBy(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}
