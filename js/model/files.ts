/**
 * Opens the files of a model from the caller's input: one file, several, or a name or a folder by which they are found.
 */

import { addressOf, pathOf, plainPath, shown } from '../io/url.js';
import { isBlob, isFileList, isUrl } from '../engine/cross-realm.js';
import type { ModelHeader } from '../engine/model-bindings.js';
import { QuantpressError } from '../engine/error.js';
import type { FileReference } from '../io/file-identity.js';
import { FolderModel } from './folder.js';
import { readHeader, type FileHeader } from './header.js';
import {
  BESIDE,
  INNER_FOLDERS,
  MAX_BESIDE_BYTES,
  areShards,
  holdsTensors,
  isBeside,
  isIndex,
  lastPart,
  shardNames,
  sibling,
} from '../io/file-names.js';
import { builtin } from '../engine/platform.js';
import { BytesSource } from '../io/source/bytes.js';
import { JoinedSource } from '../io/source/joined.js';
import { openInput, type SourceInput } from '../io/source/open.js';
import type { UrlOptions } from '../io/source/url-options.js';
import { readExactly, type Source } from '../io/source/source.js';
import { systemError } from '../io/system-error.js';
import { callModel, loadModelModule } from '../engine/model.js';

/** Everything `openModel` takes: one file, several of one model in any order, or a folder. */
export type ModelInput = SourceInput | readonly SourceInput[] | ChosenFiles | ChosenFolder;

/** A `FileList`, declared without the types of the DOM. */
export interface ChosenFiles {
  readonly length: number;
  /** The file at an index. */
  item(index: number): Blob | null;
}

/** A `FileSystemDirectoryHandle`, declared without the types of the DOM. */
export interface ChosenFolder {
  readonly kind: 'directory';
  readonly name: string;
  /** A file in the folder. */
  getFileHandle(name: string): Promise<unknown>;
}

/** A model whose headers have been read. */
export interface OpenedModel {
  source: Source;
  container: FileHeader['container'];
  header: ModelHeader | FolderModel;
  version: number;
  alignment: number;
  headerBytes: number;
  files: Map<string, Uint8Array<ArrayBuffer>>;
  /** Every file that was opened, including those that were read whole and closed. */
  reads: readonly FileReference[];
}

/** A file that may belong to a model, with its name. */
interface Candidate {
  name: string;
  input: SourceInput;
}

/** The name for an input without one, such as bytes, which must have tensors. */
const NAMELESS = '';

/** Opens the files of a model. If that fails, it closes everything it has opened. */
export async function openFiles(input: ModelInput, options: UrlOptions): Promise<OpenedModel> {
  const files = new Files(options, folderName(input));
  try {
    const folder = await candidatesOf(input);
    return folder ? await files.openSeveral(folder) : await files.openOne(input as SourceInput);
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** The sources that have been opened so far. */
class Files {
  readonly #options: UrlOptions;
  /** The name of the folder of the files. */
  readonly #name: string;
  /** The caller's own sources are not among them. */
  readonly #ours: Source[] = [];
  readonly #reads: FileReference[] = [];
  readonly #beside = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #ggufs: { source: Source; header: ModelHeader }[] = [];
  readonly #safetensors: Source[] = [];
  #folder: FolderModel | undefined;
  #headerBytes = 0;

  constructor(options: UrlOptions, name: string) {
    this.#options = options;
    this.#name = name;
  }

  /** Opens one file, and those that its name leads to. */
  async openOne(input: SourceInput): Promise<OpenedModel> {
    const name = typeof input === 'string' ? input : isUrl(input) ? input.href : undefined;
    if (name !== undefined && isIndex(lastPart(name))) {
      await this.#addIndexed(await this.#readWhole(await this.#open(input), shown(name)), (file) =>
        sibling(name, file),
      );
      await this.#addBeside(name);
      return await this.#finish();
    }
    const source = await this.#open(input);
    await this.#add(source);
    const [shard] = this.#ggufs;
    const count = shard ? callModel(() => shard.header.splitCount) : 1;
    if (name !== undefined && shard && count > 1 && callModel(() => shard.header.splitNumber) === 0) {
      for (const other of shardNames(name, count).slice(1)) await this.#add(await this.#open(other));
    }
    // The names of other safetensors files do not show that the files next to them describe them.
    if (name !== undefined && this.#folder && /^model.*\.safetensors$/i.test(lastPart(name)))
      await this.#addBeside(name);
    return await this.#finish(source);
  }

  /** Opens the files of one model, among others that do not belong to it. */
  async openSeveral(candidates: readonly Candidate[]): Promise<OpenedModel> {
    const byName = new Map(candidates.map((candidate) => [candidate.name, candidate]));
    for (const { name, input } of candidates) {
      if (isBeside(name)) this.#beside.set(name, await this.#readWhole(await this.#open(input), name));
    }
    const index = candidates.find(({ name }) => isIndex(name));
    if (index) {
      const text = await this.#readWhole(await this.#open(index.input), index.name);
      await this.#addIndexed(text, (file) => {
        const found = byName.get(file)?.input;
        if (found !== undefined) return found;
        throw new QuantpressError('NOT_FOUND', `'${index.name}' names '${file}', which is not among the files`, {
          file,
        });
      });
      return await this.#finish();
    }
    const files = withTensors(candidates);
    const shards = areShards(files.map(({ name }) => name));
    for (const { name, input } of files) {
      const source = await this.#open(input);
      await this.#add(source, shards).catch((error: unknown) => {
        throw ofFile(name, error);
      });
    }
    return await this.#finish();
  }

  /** Closes everything that was opened. */
  async close(): Promise<void> {
    for (const header of new Set(this.#ggufs.map((shard) => shard.header))) header.free();
    this.#folder?.free();
    await Promise.all(this.#ours.map((source) => source.close?.()));
  }

  async #open(input: SourceInput): Promise<Source> {
    const source = await openInput(input, this.#options);
    if (source !== input) this.#ours.push(source);
    this.#reads.push(...((await source.files?.()) ?? []));
    // After the input, whose error says more if there are two.
    await loadModelModule();
    return source;
  }

  /** Adds a file with tensors; `shard` says that it is known to belong to one model with others. */
  async #add(source: Source, shard = false): Promise<void> {
    const header = await readHeader(source, () => this.#ofFolder(), shard, this.#options.signal);
    if (header.container === 'gguf') {
      this.#ggufs.push({ source, header: header.header });
    } else {
      this.#safetensors.push(source);
      this.#headerBytes ||= header.headerBytes;
    }
  }

  /** The model that safetensors files are added to. */
  async #ofFolder(): Promise<FolderModel> {
    this.#folder ??= await FolderModel.create();
    return this.#folder;
  }

  /** The files that an index names, in its order. */
  async #addIndexed(index: Uint8Array, find: (file: string) => SourceInput): Promise<void> {
    const folder = await this.#ofFolder();
    for (const file of folder.indexFiles(index)) {
      await this.#add(await this.#open(find(file)), true).catch((error: unknown) => {
        throw ofFile(file, error);
      });
    }
    folder.checkIndex(index);
  }

  /** The other files of a model's folder, if there are any. */
  async #addBeside(name: string): Promise<void> {
    const found = BESIDE.map(async (other) => {
      const source = await this.#open(sibling(name, other)).catch(absent);
      if (source) this.#beside.set(other, await this.#readWhole(source, other));
    });
    await Promise.all(found);
  }

  async #readWhole(source: Source, name: string): Promise<Uint8Array<ArrayBuffer>> {
    if (source.size > MAX_BESIDE_BYTES) {
      const message = `'${name}' has ${source.size} bytes; the limit is ${MAX_BESIDE_BYTES}`;
      throw new QuantpressError('TOO_LARGE', message, { size: source.size, limit: MAX_BESIDE_BYTES });
    }
    const bytes = await readExactly(source, 0, source.size, this.#options.signal);
    // It is no longer needed, unless it belongs to the caller.
    const at = this.#ours.indexOf(source);
    if (at >= 0) await this.#ours.splice(at, 1)[0]?.close?.();
    return bytes;
  }

  /** The model that the files form. */
  async #finish(only?: Source): Promise<OpenedModel> {
    const [gguf] = this.#ggufs;
    if (gguf && this.#folder) {
      const message = 'there are both GGUF and safetensors files; open one of the two models';
      throw new QuantpressError('ARGUMENT', message, {});
    }
    if (this.#folder) return await this.#finishFolder(this.#folder);
    if (!gguf) throw new QuantpressError('NOT_FOUND', 'there is no GGUF or safetensors file among the files', {});
    // A single shard can be inspected, but not converted.
    const header = only && this.#ggufs.length === 1 ? gguf.header : this.#joinShards();
    const source = join(this.#ggufs.map((shard) => shard.source));
    const { version, alignment, headerBytes } = header;
    return {
      source,
      container: 'gguf',
      header,
      version,
      alignment,
      headerBytes,
      files: this.#beside,
      reads: this.#reads,
    };
  }

  #joinShards(): ModelHeader {
    const numbered = this.#ggufs.map((shard) => ({ ...shard, number: callModel(() => shard.header.splitNumber) }));
    const shards = numbered.sort((a, b) => a.number - b.number);
    // The engine takes ownership of the headers, whether it can join them or not.
    this.#ggufs.splice(0);
    const header = callModel((engine) => engine.ModelHeader.join(shards.map((shard) => shard.header)));
    this.#ggufs.push(...shards.map(({ source }) => ({ source, header })));
    return header;
  }

  async #finishFolder(header: FolderModel): Promise<OpenedModel> {
    for (const [name, bytes] of this.#beside) header.addFile(name, bytes);
    header.setName(this.#name);
    const files = join(this.#safetensors);
    const made = [header.generated()];
    const ranges = header.repeated();
    for (let at = 0; at + 1 < ranges.length; at += 2) {
      made.push(await readExactly(files, ranges[at] ?? 0, ranges[at + 1] ?? 0, this.#options.signal));
    }
    const after = made.filter((bytes) => bytes.length > 0).map((bytes) => new BytesSource(bytes, true));
    const source = join([...this.#safetensors, ...after]);
    const headerBytes = this.#headerBytes;
    return {
      source,
      container: 'safetensors',
      header,
      version: 0,
      alignment: 1,
      headerBytes,
      files: this.#beside,
      reads: this.#reads,
    };
  }
}

/** A single source is not wrapped. */
function join(sources: readonly Source[]): Source {
  const [first] = sources;
  return first && sources.length === 1 ? first : new JoinedSource(sources);
}

/** The files with tensors: by their names if any name shows it, otherwise all. */
function withTensors(candidates: readonly Candidate[]): readonly Candidate[] {
  const others = candidates.filter(({ name }) => !isBeside(name));
  const named = others.filter(({ name }) => name === NAMELESS || holdsTensors(name));
  const tensors = (named.length > 0 ? named : others).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  // Some folders contain the same model twice, the second time in its original layout.
  const whole = tensors.filter(({ name }) => name === 'model.safetensors');
  return whole.length > 0 ? whole : tensors;
}

/** Adds the name of the file to an error if there are several. */
function ofFile(name: string, error: unknown): unknown {
  if (!(error instanceof QuantpressError) || error.kind === 'Io') return error;
  if (name === NAMELESS) return error;
  return new QuantpressError(error.code, `'${name}': ${error.message}`, { ...error.details, file: name });
}

function absent(error: unknown): undefined {
  if (error instanceof QuantpressError && (error.code === 'NOT_FOUND' || error.code === 'DENIED')) return undefined;
  throw error;
}

/** The files of a list or of a folder; `undefined` if `input` is a single file. */
async function candidatesOf(input: ModelInput): Promise<Candidate[] | undefined> {
  if (typeof input === 'string' || isUrl(input)) return filesOfPath(String(input));
  if (typeof input !== 'object' || input === null) return undefined;
  if (Array.isArray(input) || isFileList(input)) {
    return Array.from(input as ArrayLike<SourceInput>, (part) => ({
      name: nameOf(part) ?? NAMELESS,
      input: part,
    }));
  }
  return isDirectory(input) ? filesOfHandle(input) : undefined;
}

/** The name of a model's folder, if it is known: a language model is named after it. */
function folderName(input: ModelInput): string {
  if (typeof input === 'string' || isUrl(input)) return folderNameOfPath(String(input));
  if (typeof input !== 'object' || input === null) return '';
  if (isDirectory(input)) return input.name;
  const [first] = Array.isArray(input) || isFileList(input) ? input : [input];
  if (typeof first === 'string' || isUrl(first)) return folderNameOfPath(String(first));
  const path = typeof first === 'object' && 'webkitRelativePath' in first ? first.webkitRelativePath : '';
  return typeof path === 'string' ? path.slice(0, Math.max(0, path.indexOf('/'))) : '';
}

/** The folder of a file's path or URL. */
function folderNameOfPath(name: string): string {
  const path = builtin('node:path');
  if (addressOf(name) !== undefined || !path) {
    // The Hugging Face Hub has `/resolve/REVISION` between a model and its files.
    const [, folder = ''] = /([^/\\]*)(?:\/resolve\/[^/]*)?[/\\][^/\\]*$/.exec(name.replace(/[?#].*$/, '')) ?? [];
    return folder;
  }
  const whole = path.resolve(pathOf(name));
  return path.basename(holdsTensors(whole) || isIndex(whole) ? path.dirname(whole) : whole);
}

function isDirectory(input: object): input is FileSystemDirectoryHandle {
  return 'kind' in input && input.kind === 'directory' && 'getFileHandle' in input;
}

/** The name of a file within its folder. */
function nameOf(input: SourceInput): string | undefined {
  if (typeof input === 'string') return lastPart(input);
  if (typeof input !== 'object' || input === null) return undefined;
  if (isUrl(input)) return lastPart(input.href);
  // For a folder that was picked or dropped, the path relative to it.
  const path = 'webkitRelativePath' in input ? input.webkitRelativePath : '';
  if (typeof path === 'string' && path.includes('/')) return path.slice(path.indexOf('/') + 1);
  if (isBlob(input)) return 'name' in input && typeof input.name === 'string' ? input.name : undefined;
  return 'name' in input && typeof input.name === 'string' ? lastPart(input.name) : undefined;
}

/** The files of a folder in Node. */
async function filesOfPath(name: string): Promise<Candidate[] | undefined> {
  const [fs, path] = [builtin('node:fs/promises'), builtin('node:path')];
  if (!fs || addressOf(name) !== undefined) return undefined;
  const folder = pathOf(name);
  const stats = await fs.stat(folder).catch(() => undefined);
  if (!stats?.isDirectory()) return undefined;
  try {
    const names = await fs.readdir(folder);
    for (const inner of INNER_FOLDERS.filter((entry) => names.includes(entry))) {
      const within = await fs.readdir(path.join(folder, inner)).catch(() => []);
      names.push(...within.map((entry) => `${inner}/${entry}`).filter(isBeside));
    }
    const wanted = names.filter((entry) => holdsTensors(entry) || isIndex(entry) || isBeside(entry));
    return wanted.map((entry) => ({ name: entry, input: plainPath(path.join(folder, entry)) }));
  } catch (error) {
    throw systemError(error, `cannot read '${folder}'`, { path: folder });
  }
}

/** The files of a folder that a browser gave the page access to. */
async function filesOfHandle(folder: FileSystemDirectoryHandle, prefix = ''): Promise<Candidate[]> {
  const found: Candidate[] = [];
  // Supported by all browsers with folders, but not yet in TypeScript's library.
  const entries = (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values();
  for await (const entry of entries) {
    const name = `${prefix}${entry.name}`;
    if (entry.kind === 'file') found.push({ name, input: entry as FileSystemFileHandle });
    else if (INNER_FOLDERS.includes(name)) {
      found.push(...(await filesOfHandle(entry as FileSystemDirectoryHandle, `${name}/`)));
    }
  }
  return prefix === '' ? found : found.filter(({ name }) => isBeside(name));
}
