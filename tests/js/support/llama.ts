/** llama.cpp itself: its quantizer and its runtime, each in a separate process. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job as Embedding } from '../../oracle/llama_embed.js';
import type { Job as Generation } from '../../oracle/llama_generate.js';
import type { Job as Quantization } from '../../oracle/llama_quantize.js';

/** Quantizes a file with llama.cpp. */
export async function llamaQuantize(job: Quantization): Promise<void> {
  await finished(start('llama_quantize.js', job));
}

/** The completion of a prompt by a model in llama.cpp. */
export async function llamaGenerate(job: Generation): Promise<string> {
  const child = start('llama_generate.js', job);
  let text = '';
  child.on('message', (message) => {
    text = String(message);
  });
  await finished(child);
  return text;
}

/** The embeddings of texts by a model in llama.cpp. */
export async function llamaEmbed(job: Embedding): Promise<number[][]> {
  const child = start('llama_embed.js', job);
  let vectors: number[][] = [];
  child.on('message', (message) => {
    vectors = message as number[][];
  });
  await finished(child);
  return vectors;
}

function start(script: string, job: Embedding | Generation | Quantization): ChildProcess {
  const path = fileURLToPath(new URL(`../../oracle/${script}`, import.meta.url));
  const child = fork(path, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  child.send(job);
  return child;
}

async function finished(child: ChildProcess): Promise<void> {
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`llama.cpp failed: ${log.slice(-2000)}`);
}
