/** What `transformers` does when it loads a model. */

/** Whether it takes a module for one of these: from the start up to the end of a part, or at the end. */
export function matches(module: string, names: readonly string[]): boolean {
  return names.some((name) => {
    // It reads names as regular expressions, and names of modules have nothing special to these but the dot.
    const start = new RegExp(`^(?:${name.replace(/[\\^$*+?()[\]{}|]/g, '\\$&')})(?:(?<=\\.)|(?=\\.|$))`);
    return start.test(module) || module.endsWith(name);
  });
}
