/** Recognises values of any realm: an iframe, a `vm` context and a test runner have their own classes. */

/** The getter that recognises a typed array by its internal slot, which no other object can have. */
const kindGetter = /* @__PURE__ */ Object.getOwnPropertyDescriptor(
  /* @__PURE__ */ Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

/** The name of a typed array's class, such as `Float32Array`; `undefined` for everything else. */
export function typedArrayKind(value: unknown): string | undefined {
  return kindGetter.call(value);
}

/** Whether a value is a `Uint8Array` of any realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return typedArrayKind(value) === 'Uint8Array';
}

const bufferSize = /* @__PURE__ */ Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength')?.get as (
  this: unknown,
) => number;

/** Whether a value is a `SharedArrayBuffer` of any realm. */
export function isSharedBuffer(value: unknown): value is SharedArrayBuffer {
  return typeof SharedArrayBuffer === 'function' && tagOf(value) === 'SharedArrayBuffer';
}

/** Whether a value is an `ArrayBuffer` or a `SharedArrayBuffer` of any realm. */
export function isBuffer(value: unknown): value is ArrayBufferLike {
  try {
    bufferSize.call(value);
    return true;
  } catch {
    return isSharedBuffer(value);
  }
}

/** Whether a value is a `URL` of any realm. */
export function isUrl(value: unknown): value is URL {
  return tagOf(value) === 'URL' && typeof (value as URL).href === 'string';
}

/** Whether a value is a `Blob` or a `File` of any realm. */
export function isBlob(value: unknown): value is Blob {
  const tag = tagOf(value);
  return (tag === 'Blob' || tag === 'File') && typeof (value as Blob).arrayBuffer === 'function';
}

/** Whether a value is a `FileList` of any realm. */
export function isFileList(value: unknown): value is FileList {
  return tagOf(value) === 'FileList' && typeof (value as FileList).length === 'number';
}

/** Whether a value is a `Response` of any realm. */
export function isResponse(value: unknown): value is Response {
  return tagOf(value) === 'Response' && typeof (value as Response).arrayBuffer === 'function';
}

/**
 * Whether a value is a compiled WebAssembly module of any realm. Not a type guard: in TypeScript every object is
 * assignable to a module.
 */
export function isModule(value: unknown): boolean {
  return tagOf(value) === 'WebAssembly.Module';
}

/** The class that an object claims to have. Unlike an internal slot it can be faked, which harms only the caller. */
function tagOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Symbol.toStringTag in value
    ? value[Symbol.toStringTag]
    : undefined;
}
