/** What the tools say, and how they stop. */

/** @param {string} line */
export function say(line) {
  process.stderr.write(`quantpress: ${line}\n`);
}

/** Something that the person at the keyboard can act on: one sentence, no stack. */
export class Stop extends Error {}

/**
 * Runs a tool's main function: a {@link Stop} is said, anything else is a fault of the tool.
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
