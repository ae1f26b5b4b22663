/** Files that the build writes next to the compiled ones. */

declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
