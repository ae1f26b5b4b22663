/** The behaviour of `transformers` when it loads a model. */

/** Whether it matches a module to one of these names: from the start up to a dot, or at the end. */
export function matches(module: string, names: readonly string[]): boolean {
  return names.some((name) => {
    // It treats names as regular expressions, in which only the dot of module names is special.
    const start = new RegExp(`^(?:${name.replace(/[\\^$*+?()[\]{}|]/g, '\\$&')})(?:(?<=\\.)|(?=\\.|$))`);
    return start.test(module) || module.endsWith(name);
  });
}
