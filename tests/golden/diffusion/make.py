"""Writes sha256.txt: for each model of models.txt, the SHA-256 of the file that ComfyUI-GGUF's own tools/convert.py writes.

    python make.py CONVERT_PY

CONVERT_PY is tools/convert.py of city96/ComfyUI-GGUF at commit 795e451; gguf, safetensors and torch 2.15 must be installed. A line of
models.txt has a model (a name and the type of most of its tensors), a tensor's type, name and shape; the lines of a model are in the order
of safetensors files: the widest types first, then by name.
"""
import hashlib, importlib.util, sys, tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location('convert', sys.argv[1])
convert = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert)
EIGHT = {'F8_E4M3': torch.float8_e4m3fn, 'F8_E5M2': torch.float8_e5m2}
WIDE = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


def states(index, count):
    """A linear congruential sequence."""
    state, out = (index * 7919 + 12345) % 2**32, np.empty(count, np.uint32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = state
    return out


def weights(index, dtype, shape):
    """The upper 24 bits as a fraction, truncated for BF16; for eight-bit floats the upper byte, with an exponent that is not all ones."""
    raw = states(index, int(np.prod(shape)))
    if dtype in EIGHT:
        bytes_ = (raw >> 24).astype(np.uint8) & 0xbf
        return torch.from_numpy(bytes_).view(EIGHT[dtype]).reshape(shape)
    values = ((raw >> 8).astype(np.int32) - (1 << 23)).astype(np.float32) / np.float32(1 << 27)
    if dtype == 'BF16':
        values = (values.view(np.uint32) & 0xffff0000).view(np.float32)
    return torch.from_numpy(values).to(WIDE[dtype]).reshape(shape)


models = {}
for index, line in enumerate((HERE / 'models.txt').read_text().splitlines()):
    model, most, dtype, name, shape = line.split(' ')
    models.setdefault(f'{model} {most}', {})[name] = weights(index, dtype, [int(n) for n in shape.split(',')])
lines = []
for model, tensors in models.items():
    with tempfile.TemporaryDirectory() as folder:
        path, out = f'{folder}/model.safetensors', f'{folder}/model.gguf'
        save_file(tensors, path)
        convert.convert_file(path, out, interact=False)
        data = Path(out).read_bytes()
        if len(sys.argv) > 2:
            (Path(sys.argv[2]) / f"{model.replace(' ', '-')}.gguf").write_bytes(data)
            (Path(sys.argv[2]) / f"{model.replace(' ', '-')}.safetensors").write_bytes(Path(path).read_bytes())
    lines.append(f'{hashlib.sha256(data).hexdigest()} {len(data)} {model}\n')
(HERE / 'sha256.txt').write_text(''.join(lines))
