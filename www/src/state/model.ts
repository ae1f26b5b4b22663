/** The model that is open. Views read signals; only the functions here change them. */

import { computed, signal } from '@preact/signals';
import { init, openModel, type Model, type ModelInput } from 'quantpress';
import sampleUrl from '../../../tests/fixtures/tiny-whale/tiny-whale-f16.gguf?url';
import sampleImatrixUrl from '../../../tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf?url';
import { sentence } from '../ui/sentence.ts';

/** A model, and where it is from. */
export interface Opened {
  readonly model: Model;
  /** The name of its file, or of its first one. */
  readonly fileName: string;
  readonly from: 'sample' | 'disk' | 'network';
  readonly weights: number;
  /** What it was opened from, for a worker to open it too. */
  readonly input: ModelInput;
  /** Its files, if they are at hand as a whole. */
  readonly files?: readonly Blob[];
}

export const opened = signal<Opened | undefined>(undefined);
/** What is being opened. */
export const opening = signal<string | undefined>(undefined);
/** Why the last thing that was opened could not be, or an importance matrix could not be read. */
export const problem = signal<string | undefined>(undefined);
/** Set while a job reads the model: then no other is opened. */
export const busy = signal(false);

export const weights = computed(() => opened.value?.weights ?? 0);

/** The file name of the built-in model. */
export const SAMPLE_NAME = 'tiny-whale-f16.gguf';

/** Opens the built-in model. */
export function openSample(): Promise<void> {
  return open('the sample', 'sample', SAMPLE_NAME, () => fetchFile(sampleUrl, SAMPLE_NAME));
}

/** Opens what the person chose or dropped: one file, or all the files of one model. */
export function openFiles(files: readonly File[]): Promise<void> {
  const [first] = files;
  if (!first) return Promise.resolve();
  const models = files.filter(({ name }) => /\.(gguf|safetensors)$/i.test(name));
  const [name = first.name] = models.map(({ name }) => name).sort();
  return open(name, 'disk', name, async () => (files.length === 1 ? first : files));
}

/** Opens a model behind an address, which is read in parts: what is needed, when it is needed. */
export function openAddress(address: string): Promise<void> {
  const name = decodeURIComponent(new URL(address).pathname.split('/').pop() || 'model.gguf');
  return open(address, 'network', name, async () => address);
}

/** The sample's own importance matrix. */
export function sampleImatrix(): Promise<File> {
  return fetchFile(sampleImatrixUrl, 'tiny-whale.imatrix.gguf');
}

async function open(
  what: string,
  from: Opened['from'],
  fileName: string,
  get: () => Promise<ModelInput>,
): Promise<void> {
  if (opening.value !== undefined || busy.value) return;
  opening.value = what;
  problem.value = undefined;
  try {
    const [input] = await Promise.all([get(), init()]);
    const model = await openModel(input);
    const before = opened.value;
    const files = partsOf(input);
    opened.value = { model, fileName, from, weights: weightsOf(model), input, ...(files && { files }) };
    await before?.model.close();
  } catch (error) {
    problem.value = sentence(error);
  } finally {
    opening.value = undefined;
  }
}

/** The files of what was opened, in the order of their names. */
function partsOf(input: ModelInput): Blob[] | undefined {
  if (input instanceof Blob) return [input];
  if (!Array.isArray(input)) return undefined;
  const parts = input.filter((part): part is File => part instanceof File && part.name.endsWith('.gguf'));
  return parts.sort((a, b) => a.name.localeCompare(b.name));
}

function weightsOf(model: Model): number {
  return model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

async function fetchFile(url: string, name: string): Promise<File> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`The sample could not be loaded: the server answered ${response.status}.`);
  // Always of the same time, so that a job on it that was interrupted is taken up on another day.
  return new File([await response.blob()], name, { lastModified: 0 });
}
