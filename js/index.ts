/**
 * Everything the package offers but `init`, which each entry (browser.ts, node.ts, workerd.ts, slim.ts, inline.ts) adds
 * with the place where it finds the engine.
 *
 * A room of the engine is one file here, named as the room is: it documents the types, checks the arguments that the
 * engine cannot (check.ts), and makes each call by `call` (wasm.ts), which also gives errors their type. format.ts is the
 * pattern. Add a line below for a new one.
 */

export { QuantpressError, errorKinds, type ErrorCode, type ErrorDetails, type ErrorKind } from './error.js';
export { isReady, type InitOptions, type WasmInput } from './wasm.js';
export * from './format.js';
