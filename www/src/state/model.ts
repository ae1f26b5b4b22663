/** The model that is open. Views read signals; only the functions here change them. */

import { batch, computed, signal } from '@preact/signals';
import { init, openModel, type Model, type ModelInput, type Recipe } from 'quantpress';
import sampleUrl from '../../../tests/fixtures/tiny-whale/tiny-whale-f16.gguf?url';
import sampleImatrixUrl from '../../../tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf?url';
import { canBePlain, type Converted, convertedOf, withoutOption } from '../open/converted.ts';
import { filesOfModel, folderOf, nameOfModel } from '../open/files.ts';
import { sentence } from '../ui/sentence.ts';
import { listed } from '../ui/visible.ts';
import { inTurns, type Pieces } from './derived.ts';
import { headerOf, isLarge, MANY } from './planner.ts';
import { refusesOpening } from './transitions.ts';

/** The origin of a model. */
export type From = 'sample' | 'disk' | 'network';

/** A model and its origin. */
export interface Opened {
  readonly model: Model;
  /** Its name: that of its folder, of its file, or of the first of its files. */
  readonly fileName: string;
  /** Whether the name is a folder's. */
  readonly isFolder: boolean;
  readonly from: From;
  readonly weights: number;
  /** The input it was opened from, so that a worker can open it too. */
  readonly input: ModelInput;
  /** Its files, if it is GGUF and they are local. */
  readonly files?: readonly Blob[];
  /**
   * The model as GGUF: a safetensors model after its conversion in its own precision. Absent for models with many
   * tensors.
   */
  readonly asGguf?: Converted | undefined;
  /** Why it cannot be converted or quantized. */
  readonly obstacle?: string | undefined;
  /** Whether it can be written as a plain container on request. */
  readonly plainly?: boolean | undefined;
}

/** What is being opened. */
export interface Opening {
  /** Its display name: a name or a URL. */
  readonly what: string;
  /** The name that the model will have. */
  readonly fileName: string;
  readonly from: From;
}

export const opened = signal<Opened | undefined>(undefined);
export const opening = signal<Opening | undefined>(undefined);
/** Why the last requested input could not be opened or read. */
export const problem = signal<string | undefined>(undefined);
/** What was removed because another model was opened. */
export const notice = signal<string | undefined>(undefined);
/** Set while a job reads the model: no other can be opened. */
export const busy = signal(false);

export const weights = computed(() => opened.value?.weights ?? 0);

/** The file name of the built-in model. */
export const SAMPLE_NAME = 'tiny-whale-f16.gguf';

type Change = (before: Opened, next: Opened) => void;

const changes: Change[] = [];

/**
 * Registers a callback of a module whose signals depend on the model; it runs in one batch with opening another model.
 */
export function whenModelChanges(change: Change): void {
  changes.push(change);
}

/** Opens the built-in model. */
export function openSample(): Promise<void> {
  const sample: Opening = { what: 'the sample', fileName: SAMPLE_NAME, from: 'sample' };
  return open(sample, () => fetchFile(sampleUrl, SAMPLE_NAME));
}

/** Opens what the user selected or dropped: one file, or all the files of one model. */
export function openFiles(all: readonly File[]): Promise<void> {
  const files = filesOfModel(all);
  const [first] = files;
  if (!first) {
    // Nothing was selected, or nothing that can be a model.
    if (all.length > 0)
      fail('There is no GGUF or safetensors file in this folder. Open the folder that has the model.');
    return Promise.resolve();
  }
  const fileName = nameOfModel(files, folderOf(files));
  const isFolder = fileName === folderOf(files);
  return open({ what: fileName, fileName, from: 'disk' }, async () => (files.length === 1 ? first : files), isFolder);
}

/** Opens a model at a URL, of which only the needed parts are read. */
export function openAddress(address: string): Promise<void> {
  return open({ what: address, fileName: lastPart(address), from: 'network' }, async () => address);
}

/** Shows why the user's request failed. */
export function fail(why: string): void {
  problem.value = why;
}

/** Clears the message about the previous request. */
export function begin(): void {
  batch(() => {
    problem.value = undefined;
    notice.value = undefined;
  });
}

/** Shows what was removed. */
export function tell(what: string | undefined): void {
  notice.value = what;
}

/** Keeps the model open while a job reads it, until the returned function is called. */
export function holdModel(): () => void {
  busy.value = true;
  return () => {
    busy.value = false;
  };
}

/** The sample's own importance matrix. */
export function sampleImatrix(): Promise<File> {
  return fetchFile(sampleImatrixUrl, 'tiny-whale.imatrix.gguf');
}

/** The number of openings that were started: only the last one counts, whichever ends first. */
let turn = 0;

async function open(next: Opening, get: () => Promise<ModelInput>, isFolder = false): Promise<void> {
  const refused = refusesOpening(busy.value);
  if (refused !== undefined) {
    problem.value = refused;
    return;
  }
  const mine = ++turn;
  batch(() => {
    opening.value = next;
    begin();
  });
  try {
    const [input] = await Promise.all([get(), init()]);
    const model = await openModel(input);
    const { fileName, from } = next;
    const files = model.container === 'gguf' ? partsOf(input) : undefined;
    const converted = await convertedFrom(model, input);
    const now = {
      model,
      fileName,
      isFolder,
      from,
      weights: await inTurns(weightsOf(model)),
      input,
      ...(files && { files }),
      ...converted,
    };
    // Another one was requested in the meantime, or a job has started on the open model.
    if (mine !== turn || busy.value) {
      await model.close();
      if (mine === turn) problem.value = refusesOpening(busy.value);
      return;
    }
    const before = opened.value;
    batch(() => {
      opened.value = now;
      if (before) for (const change of changes) change(before, now);
    });
    await before?.model.close();
  } catch (error) {
    if (mine === turn) problem.value = whyNotOpened(next, sentence(error));
  } finally {
    if (mine === turn) opening.value = undefined;
  }
}

/** Names what could not be opened, if the reason does not. */
function whyNotOpened({ what }: Opening, why: string): string {
  const name = listed(what);
  return why.includes(name) ? why : `${name} could not be opened. ${why}`;
}

/** The model as GGUF, or why it cannot be converted. */
async function convertedFrom(
  model: Model,
  input: ModelInput,
): Promise<Pick<Opened, 'asGguf' | 'obstacle' | 'plainly'>> {
  // Planning this many would take a while. No language model in GGUF has as many.
  if (model.tensors.length > MANY && model.container === 'gguf') return {};
  const plan = isLarge(model) ? (recipe: Recipe) => headerOf(input, recipe) : undefined;
  try {
    return { asGguf: await convertedOf(model, plan) };
  } catch (error) {
    const obstacle = sentence(error);
    return (await canBePlain(model, plan)) ? { obstacle: withoutOption(obstacle), plainly: true } : { obstacle };
  }
}

/** The opened files, in the order of their names. */
function partsOf(input: ModelInput): Blob[] | undefined {
  if (input instanceof Blob) return [input];
  if (!Array.isArray(input)) return undefined;
  const parts = input.filter((part): part is File => part instanceof File && part.name.endsWith('.gguf'));
  return parts.sort((a, b) => a.name.localeCompare(b.name));
}

function* weightsOf({ tensors }: Model): Pieces<number> {
  let sum = 0;
  for (const [index, { shape }] of tensors.entries()) {
    sum += shape.reduce((a, b) => a * b, 1);
    if (index % 512 === 511) yield;
  }
  return sum;
}

/** The file name in a URL, not decoded if it is malformed. */
function lastPart(address: string): string {
  const name = address.replace(/[?#].*$/s, '').replace(/^.*\//s, '') || 'model.gguf';
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

async function fetchFile(url: string, name: string): Promise<File> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`The sample could not be loaded: the server answered ${response.status}.`);
  // Always with the same time, so that an interrupted job on the sample can be resumed later.
  return new File([await response.blob()], name, { lastModified: 0 });
}
