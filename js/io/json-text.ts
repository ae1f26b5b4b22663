/** JSON that is too long for one string. */

/** The number of elements that are converted at once. */
const STEP = 1024;

/** A long list, whose elements may be made when they are asked for. */
interface Sliced {
  readonly length: number;
  slice(from: number, to: number): unknown[];
}

function isSliced(value: unknown): value is Sliced {
  return typeof value === 'object' && value !== null && 'slice' in value && 'length' in value;
}

/** `JSON.stringify(value, null, 2)`, piece by piece. The lists that `value` has as properties can be long. */
export function* jsonText(value: object): Generator<string> {
  let separator = '{';
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue;
    yield `${separator}\n  ${JSON.stringify(key)}: `;
    separator = ',';
    if (isSliced(part) && part.length > 0) yield* listText(part);
    else yield indented(JSON.stringify(isSliced(part) ? [] : part, null, 2));
  }
  yield separator === '{' ? '{}' : '\n}';
}

/** {@link jsonText} with a final line break, for a file. */
export function* jsonLines(value: object): Generator<string> {
  yield* jsonText(value);
  yield '\n';
}

function* listText(list: Sliced): Generator<string> {
  for (let at = 0; at < list.length; at += STEP) {
    // Without the brackets of the part.
    const elements = JSON.stringify(list.slice(at, at + STEP), null, 2).slice(1, -2);
    yield `${at === 0 ? '[' : ','}${indented(elements)}`;
  }
  yield '\n  ]';
}

/** JSON strings contain no line breaks, so every line break begins a line. */
function indented(json: string): string {
  return json.replaceAll('\n', '\n  ');
}
