/** A safetensors model: the module with the converters lists and imports it, the main one plans what was imported. */

import type { ImportanceMatrix, ImportedModel, ModelPlanner } from '../engine/model-bindings.js';
import type { SafetensorsModel } from '../engine/convert-bindings.js';
import { callConvert, loadConvert } from '../engine/convert.js';
import { release } from '../engine/dispose.js';
import { callModel } from '../engine/model.js';

/** A safetensors model in both modules. It has what a GGUF header has, and the files that are added to it. */
export class FolderModel {
  readonly #folder: SafetensorsModel;
  readonly #imported: ImportedModel;

  private constructor() {
    this.#folder = callConvert((engine) => new engine.SafetensorsModel());
    this.#imported = callModel((engine) => new engine.ImportedModel());
  }

  /** A model without files. */
  static async create(): Promise<FolderModel> {
    await loadConvert();
    return new FolderModel();
  }

  /** Makes room for the next bytes of the file that is being added. */
  reserve(length: number): void {
    callConvert(() => this.#folder.reserve(length));
  }

  /** Adds the next bytes of a file, from its start. */
  append(bytes: Uint8Array<ArrayBuffer>): void {
    callConvert(() => this.#folder.append(bytes));
  }

  /** Adds the file whose first bytes were appended: where its tensor data begins, or how many bytes are needed. */
  add(size: number, shard: boolean): { needed?: number; dataStart: number } {
    return callConvert(() => this.#folder.add(size, shard));
  }

  /** Adds a file other than the tensors, such as `config.json`. */
  addFile(name: string, bytes: Uint8Array): void {
    callConvert(() => this.#folder.addFile(name, bytes));
  }

  /** Names the folder. */
  setName(name: string): void {
    callConvert(() => this.#folder.setName(name));
  }

  /** The names of the files in an index. */
  indexFiles(index: Uint8Array): string[] {
    return callConvert((engine) => engine.indexFiles(index)) as string[];
  }

  /** Rejects an index that does not name exactly the tensors of the files. */
  checkIndex(index: Uint8Array): void {
    callConvert(() => this.#folder.checkIndex(index));
  }

  /** Computed data that follows the files. */
  generated(): Uint8Array<ArrayBuffer> {
    return callConvert(() => this.#folder.generated()) as Uint8Array<ArrayBuffer>;
  }

  /** Ranges of the files that are read again after {@link generated}: offset and size of each. */
  repeated(): Float64Array {
    return callConvert(() => this.#folder.repeated());
  }

  get tensorCount(): number {
    return callConvert(() => this.#folder.tensorCount);
  }

  tensors(from: number, to: number): unknown[] {
    return callConvert(() => this.#folder.tensors(from, to));
  }

  metadata(): unknown[] {
    return callConvert(() => this.#folder.metadata());
  }

  /** Begins the plan of a conversion to GGUF or to one of bitsandbytes' formats. */
  planner(recipe: unknown, matrix?: ImportanceMatrix, name?: string): ModelPlanner {
    this.#import(recipe, matrix !== undefined, false);
    return callModel(() => this.#imported.planner(recipe, matrix, name));
  }

  /** See `bestMix` of `best-mix/best-mix.ts`. */
  bestMix(
    texts: string[],
    numbers: Float64Array,
    targetSize: number | undefined,
    targetBpw: number,
    recipe: unknown,
    matrix?: ImportanceMatrix,
  ): unknown {
    this.#import(recipe, matrix !== undefined, true);
    const [names, offsets] = callConvert(() => this.#folder.places()) as [string[], Float64Array];
    return callModel(() =>
      this.#imported.bestMix(texts, numbers, targetSize, targetBpw, recipe, matrix, names, offsets),
    );
  }

  /** Imports what plans need and what has not been imported yet. */
  #import(recipe: unknown, importance: boolean, mix: boolean): void {
    for (const request of callModel(() => this.#imported.wanted(recipe, importance, mix))) {
      const result = callConvert(() => this.#folder.import(request));
      try {
        for (let index = 0; index < callConvert(() => result.pieces); index += 1) {
          const piece = callConvert(() => result.piece(index));
          callModel(() => this.#imported.add(request, piece));
        }
      } finally {
        release(result, callConvert);
      }
    }
  }

  /** Gives both modules their memory back. */
  free(): void {
    release(this.#folder, callConvert);
    release(this.#imported, callModel);
  }
}
