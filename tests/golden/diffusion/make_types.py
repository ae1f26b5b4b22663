"""Writes types.txt: for every matrix of the models in layers.txt and every preset, the type that ComfyUI-GGUF's llama-quantize chooses; and
quantized.txt: the hashes of its files for small models.

    python make_types.py CONVERT_PY QUANTIZE FOLDER

FOLDER is the output folder of make.py for models.txt; the files named whole are quantized.

CONVERT_PY is tools/convert.py of city96/ComfyUI-GGUF (Apache-2.0) at commit 795e451; its own handle_tensors writes the headers.
QUANTIZE is a program that takes an input, an output and the number of a preset, and calls llama_model_quantize of llama.cpp b3962 with the
patch of that commit. The patch is tools/lcpp.patch, sha256 3f486d5be5a359061daa3ff208acae5afe6233262894b44103843914d7b986fa; it changes the
git object 24e1f1f0 (src/llama.cpp) to 25db4c69. The program has one further change, enabled by TYPES_ONLY in the environment: instead of
loading and encoding a tensor it prints its name and chosen type.

layers.txt has a model after every '=': its architecture in ComfyUI, the type of its tensors, its name; then its tensors, as names and
PyTorch shapes. Braces expand to each of their numbers or words. types.txt has the same lines with a column per preset: one letter if all of
the tensors have the same type, otherwise a letter for each in the order of the file, which is by name. QUANTIZE was compiled with gcc 12,
-O2 -ffp-contract=off: fused multiply-adds, which -march=native allows, give other bytes. '!' marks a preset that the patch refuses, and
types for which the rows are not whole blocks: there its output is broken, or it aborts.
"""
import hashlib, importlib.util, itertools, os, re, subprocess, sys, tempfile
from pathlib import Path

import gguf
import numpy as np
import torch

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location('convert', sys.argv[1])
convert = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert)
PRESETS = {'F32': 0, 'F16': 1, 'BF16': 32, 'Q4_0': 2, 'Q4_1': 3, 'Q5_0': 8, 'Q5_1': 9, 'Q8_0': 7, 'Q2_K': 10, 'Q2_K_S': 21, 'Q3_K_S': 11,
           'Q3_K_M': 12, 'Q3_K_L': 13, 'Q4_K_S': 14, 'Q4_K_M': 15, 'Q5_K_S': 16, 'Q5_K_M': 17, 'Q6_K': 18, 'TQ1_0': 36, 'TQ2_0': 37,
           'IQ1_S': 24, 'IQ1_M': 31, 'IQ2_XXS': 19, 'IQ2_XS': 20, 'IQ2_S': 28, 'IQ2_M': 29, 'IQ3_XXS': 23, 'IQ3_XS': 22, 'IQ3_S': 26,
           'IQ3_M': 27, 'IQ4_NL': 25, 'IQ4_XS': 30}
LETTERS = {'f32': 'F', 'f16': 'H', 'bf16': 'B', 'q4_0': 'a', 'q4_1': 'b', 'q5_0': 'c', 'q5_1': 'd', 'q8_0': 'e', 'q2_K': '2', 'q3_K': '3',
           'q4_K': '4', 'q5_K': '5', 'q6_K': '6', 'tq1_0': 't', 'tq2_0': 'u', 'iq3_s': 'i'}
DTYPES = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}


class Empty:
    """A tensor without weights, with the attributes that convert.py reads."""

    def __init__(self, dtype, shape):
        self.dtype, self.shape = dtype, shape

    def to(self, _):
        return self

    def numpy(self):
        return self

    def reshape(self, *shape):
        return Empty(self.dtype, shape)


class Writer(gguf.GGUFWriter):
    def add_tensor(self, name, tensor, raw_dtype=None):
        count, size = gguf.GGML_QUANT_SIZES[raw_dtype]
        self.add_tensor_info(name, tensor.shape, np.dtype(np.float32), int(np.prod(tensor.shape)) // count * size, raw_dtype)


def expanded(pattern):
    """The names that a pattern expands to."""
    def words(braces):
        bounds = re.fullmatch(r'(\d+)\.\.(\d+)', braces)
        return [str(n) for n in range(int(bounds[1]), int(bounds[2]) + 1)] if bounds else braces.split(',')
    parts = re.split(r'\{([^}]*)\}', pattern)
    return [''.join(name) for name in itertools.product(*(words(p) if i % 2 else [p] for i, p in enumerate(parts)))]


def models():
    """Architecture, type, title, and patterns with shapes."""
    listed = []
    for line in (HERE / 'layers.txt').read_text().splitlines():
        pattern, rest = line.split(' ', 1)
        if pattern == '=':
            listed.append((*rest.split(' ')[:2], line, []))
        else:
            listed[-1][3].append((pattern, [int(n) for n in rest.split(',')]))
    return listed


def header(path, arch, dtype, tensors):
    """The file that convert.py writes, with a hole for its weights."""
    model = next(a for a in convert.arch_list if a.arch == arch)()
    convert.gguf.quants.quantize = lambda data, _: data
    model.handle_nd_tensor = lambda key, data: None
    writer = Writer(path=None, arch=arch)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    state = {name: Empty(DTYPES[dtype], shape) for name, shape in sorted(tensors.items())}
    convert.handle_tensors(writer, convert.strip_prefix(state), model)
    writer.write_header_to_file(path=path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    infos = writer.tensors[0]
    padded = sum(-(-info.nbytes // 32) * 32 for info in infos.values())
    os.truncate(path, -(-os.path.getsize(path) // 32) * 32 + padded)
    return {name: info.shape[-1] for name, info in infos.items()}


def chosen(path, preset):
    command = [sys.argv[2], path, path + '.out', str(PRESETS[preset])]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'TYPES_ONLY': '1'})
    return dict(line.split(' ') for line in run.stdout.splitlines()) if run.returncode == 0 else None


def letter(kinds, rows, name):
    """The column of one tensor; '-' if it is not in the file, such as five-dimensional ones."""
    if kinds is None:
        return '!'
    if name not in kinds:
        return '-'
    blocks, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kinds[name].upper()]]
    return '!' if rows[name] % blocks else LETTERS[kinds[name]]


out = [' '.join(f'{letter}={name.upper()}' for name, letter in LETTERS.items()), ' '.join(PRESETS)]
for arch, dtype, title, patterns in models():
    tensors = {name: shape for pattern, shape in patterns for name in expanded(pattern)}
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/model.gguf'
        rows = header(path, arch, dtype, tensors)
        types = {preset: chosen(path, preset) for preset in PRESETS}
    out.append(title)
    for pattern, _ in patterns:
        names = [name.removeprefix('net.') for name in sorted(expanded(pattern))]
        columns = []
        for kinds in types.values():
            letters = [letter(kinds, rows, name) for name in names]
            columns.append(letters[0] if len(set(letters)) == 1 else ''.join(letters))
        out.append(f"{pattern} {' '.join(columns)}")
(HERE / 'types.txt').write_text('\n'.join(out) + '\n')

sums = []
for path in sorted(Path(sys.argv[3]).glob('*-whole-*.gguf')):
    infos = gguf.GGUFReader(path).tensors
    rows = {info.name: int(info.shape[0]) for info in infos}
    for preset, number in PRESETS.items():
        kinds = chosen(str(path), preset)
        if preset == 'Q2_K_S' or '!' in {letter(kinds, rows, info.name) for info in infos}:
            continue  # refused, the first for lack of importance
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.argv[2], path, f'{folder}/out', str(number)], check=True)
            data = Path(f'{folder}/out').read_bytes()
        model, most = path.stem.rsplit('-', 1)
        sums.append(f'{hashlib.sha256(data).hexdigest()} {len(data)} {model} {most} {preset}\n')
(HERE / 'quantized.txt').write_text(''.join(sums))
