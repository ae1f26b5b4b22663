/** The error that a call throws or its promise rejects with; `undefined` if it succeeds. */
export async function thrownBy(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}
