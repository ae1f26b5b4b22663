/** What the build puts beside the compiled files. */

declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
