/** The engine's code as a plain module, without the JavaScript boundary; the same in Node and in a page. */

/**
 * Instantiates `benches/codecs.rs` built for wasm32. Its imports from the package's JavaScript are never called here.
 * @param {WebAssembly.Module} module
 */
export async function instantiate(module) {
  /** @type {Record<string, Record<string, () => number>>} */
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] = { ...imports[from], [name]: () => 0 };
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  return /** @type {Record<string, (...args: number[]) => number>} */ (exports);
}

/** Million weights per second in the shortest of many runs. @param {() => void} run @param {number} weights */
export function speed(run, weights) {
  let best = Infinity;
  const start = performance.now();
  for (let rounds = 0; rounds < 5 || performance.now() - start < 300; rounds += 1) {
    const from = performance.now();
    // Clocks in browsers are coarse: short runs are repeated until they can be measured.
    let runs = 0;
    do {
      run();
      runs += 1;
    } while (performance.now() - from < 5);
    best = Math.min(best, (performance.now() - from) / runs);
  }
  return weights / 1e3 / best;
}

/**
 * Measures the speeds of one format.
 * @param {Record<string, (...args: number[]) => number>} engine @param {{ id: number, rows: number, columns: string[] }} format
 * @param {number} row weights per row
 */
export function speeds(engine, { id, rows, columns }, row) {
  engine.set_up?.(id, rows);
  engine.weighted?.();
  return columns.map((column) => speed(() => engine[column]?.(), rows * row));
}
