/** The names of a model's files: shards, the index, and the other files of its folder. */

import { addressOf, pathOf, shown, siblingAddress } from './url.js';
import { QuantpressError } from '../engine/error.js';

/** Files next to the tensors of a safetensors model that describe it. Anything else is not read: see `isBeside`. */
export const BESIDE: readonly string[] = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
  'modules.json',
  'sentence_bert_config.json',
  '1_Pooling/config.json',
  'hf_quant_config.json',
  'tekken.json',
  'README.md',
];

/** The folders within a model's folder that have such files. */
export const INNER_FOLDERS: readonly string[] = ['1_Pooling', 'additional_chat_templates'];

/** Whether a file belongs to a model by its name in the folder. Chat templates may have any name. */
export const isBeside = (name: string): boolean =>
  BESIDE.includes(name) || /^additional_chat_templates\/[^/]*\.jinja$/.test(name);

/** The size limit of a sidecar file: the largest vocabularies take 40 MB as JSON. */
export const MAX_BESIDE_BYTES = 1 << 28;

/** The limit of shards of one model: the largest known models have some hundreds. */
export const MAX_SHARDS = 4096;

/** Whether a name is that of an index, which maps tensors to files. */
export const isIndex = (name: string): boolean => /\.safetensors\.index\.json$/i.test(name);

/** Whether a name is that of a file with tensors. */
export const holdsTensors = (name: string): boolean => /\.(gguf|safetensors)$/i.test(name);

/** Whether safetensors files are the shards of one model according to their names. */
export function areShards(names: readonly string[]): boolean {
  const stems = new Set(names.map((name) => /^(.*)-\d{5}(-of-\d{5}\.safetensors)$/i.exec(name)?.slice(1).join('')));
  return stems.size === 1 && !stems.has(undefined);
}

/** The file name of a path or URL, as it is in the folder. */
export function lastPart(name: string): string {
  if (addressOf(name) === undefined) return pathOf(name).replace(/^.*[/\\]/s, '');
  const last = name.replace(/[?#].*$/s, '').replace(/^.*[/\\]/s, '');
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** The path or URL of another file in the folder of `name`. */
export function sibling(name: string, file: string): string {
  const address = addressOf(name);
  return address === undefined ? pathOf(name).replace(/[^/\\]*$/, '') + file : siblingAddress(address, file);
}

/** The names of the shards of a model of `count`, from the name of the first. */
export function shardNames(first: string, count: number): string[] {
  if (count > MAX_SHARDS) {
    const message = `'${shown(first)}' claims to be one of ${count} shards; the limit is ${MAX_SHARDS}`;
    throw new QuantpressError('TOO_LARGE', message, { shards: count, limit: MAX_SHARDS });
  }
  const [, stem, number, of, end] = /^(.*-)(\d{5})(-of-\d{5})(\.gguf)$/i.exec(lastPart(first)) ?? [];
  if (number !== '00001' || of !== `-of-${padded(count)}`) {
    const name = `NAME-${padded(1)}-of-${padded(count)}.gguf`;
    const message = `'${shown(first)}' is the first of ${count} shards, but is not named ${name}; list all shards`;
    throw new QuantpressError('ARGUMENT', message, { shards: count });
  }
  return Array.from({ length: count }, (_, index) => sibling(first, `${stem}${padded(index + 1)}${of}${end}`));
}

/** `-00002-of-00003`: llama.cpp's numbering of shards. */
export const shardSuffix = (index: number, count: number): string => `-${padded(index + 1)}-of-${padded(count)}`;

const padded = (number: number): string => String(number).padStart(5, '0');
