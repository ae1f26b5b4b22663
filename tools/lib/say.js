/** Output of the tools, and how they stop. */

/** @param {string} line */
export function say(line) {
  process.stderr.write(`quantpress: ${line}\n`);
}

/** An error that the user can act on: one sentence, no stack trace. */
export class Stop extends Error {}

/**
 * Runs a tool's main function. A {@link Stop} is printed; anything else is a bug in the tool.
 * @param {() => Promise<void>} main
 */
export async function tool(main) {
  try {
    await main();
  } catch (error) {
    if (error instanceof Stop) say(error.message);
    else console.error(error);
    process.exitCode = 1;
  }
}
