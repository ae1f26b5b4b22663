"""Writes variants.json: the results of llama.cpp's own convert_hf_to_gguf.py for the folders here with one change each.

    python variants.py LLAMA_CPP

LLAMA_CPP and the packages are those of make.py. Each entry has its base folder (`base`), the changes, which the test also applies, and the
SHA-256 and size of the script's file, or `refused` if the script fails.

    edits    [file, key, value] sets a key of a JSON file; [file, key] removes it; [file, null, text] writes a whole file
    types    [from, to] changes the dtype of all tensors
    extra    lines that are added to tensors.txt
    pre      the result of get_vocab_base_pre, if it is not the name of the folder's own model
    index    names that model.safetensors.index.json does not list, or null for no such file
"""
import hashlib, json, os, pathlib, runpy, shutil, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
LLAMA = pathlib.Path(sys.argv[1]).resolve()
if os.environ.get('PYTHONHASHSEED') != '0':
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, 'PYTHONHASHSEED': '0', 'HF_HUB_OFFLINE': '1'})
import numpy as np


def values(index, count):
    x = np.empty(count, np.uint32)
    state = (index * 7919 + 12345) & 0xffffffff
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        x[i] = state
    return ((x >> 8).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0 ** -27)


def encoded(index, dtype, count):
    v = values(index, count)
    if dtype == 'BF16':
        return (v.view(np.uint32) >> 16).astype('<u2').tobytes()
    if dtype == 'F64':  # a little more than F32 holds
        return (v.astype('<f8') * (1 + 2.0 ** -30)).tobytes()
    return v.astype({'F32': '<f4', 'F16': '<f2'}[dtype]).tobytes()


CARD = 'README.md'
SETTINGS = 'tokenizer_config.json'
LONGROPE = {'rope_type': 'longrope', 'short_factor': [1.0] * 4, 'long_factor': [2.0] * 4, 'factor': 2.0, 'original_max_position_embeddings': 64}


def card(text):
    return {'base': 'qwen3', 'edits': [[CARD, None, f'---\n{text}\n---\n']]}


def own(*edits):
    return {'base': 'qwen2-own-tokenizer', 'edits': [list(edit) for edit in edits]}


def qwen3(*edits):
    return {**own(['config.json', 'model_type', 'qwen3'], ['config.json', 'architectures', ['Qwen3ForCausalLM']], ['config.json', 'head_dim', 8], *edits)}


VARIANTS = {
    **{f'card: {text}': card(text) for text in [
        'language: no', 'language: yes', 'language: Off', 'languages: 3', 'tags: 1.5\npipeline_tag: x', 'name: no', 'name: 0', 'license: no', 'license: false',
        'base_model: no', 'datasets: 2024-01-01', 'version: 0.0', 'author: off\nmodel_author: x', 'language:\n- no', 'license: yes', 'name: 3', 'version: 1.0',
        'author: 0x1F', 'license: 0x0']},
    'longrope on llama': {'base': 'llama-3', 'edits': [['config.json', 'rope_scaling', LONGROPE]]},
    'longrope on mistral': {'base': 'Mistral-Nemo-v0.2', 'edits': [['config.json', 'rope_scaling', {**LONGROPE, 'short_factor': [1.0] * 8, 'long_factor': [2.0] * 8}]]},
    'longrope on qwen3': {'base': 'qwen3', 'edits': [['config.json', 'rope_scaling', {**LONGROPE, 'short_factor': [1.0] * 8, 'long_factor': [2.0] * 8}]]},
    'F64': {'base': 'qwen3', 'types': ['BF16', 'F64'], 'outtypes': ['f32', 'f16', 'bf16']},
    'F64 of heads that are interleaved': {'base': 'llama-3', 'types': ['F32', 'F64'], 'outtypes': ['f32', 'bf16']},
    'a tensor in two shards': {'base': 'Qwen2.5-0.5B-Instruct', 'extra': ['model-00002-of-00002.safetensors model.norm.weight BF16 32'], 'index': None},
    'a tensor in two shards, with an index': {'base': 'Qwen2.5-0.5B-Instruct', 'index': [], 'extra': [
        'model-00002-of-00002.safetensors model.norm.weight BF16 32', 'model-00002-of-00002.safetensors model.layers.0.self_attn.q_proj.weight BF16 32,32']},
    'a tensor of another type in two shards': {'base': 'Qwen2.5-0.5B-Instruct', 'extra': ['model-00002-of-00002.safetensors model.embed_tokens.weight F32 400,32'], 'index': None},
    'an index that lacks a tensor': {'base': 'Qwen2.5-0.5B-Instruct', 'index': ['model.norm.weight']},
    'qwen2: its class is forced': own(),
    'qwen2: unk and pad are stated': own([SETTINGS, 'unk_token', '<|pad|>'], [SETTINGS, 'pad_token', '<|pad|>']),
    'qwen2: unk and pad are null': own([SETTINGS, 'unk_token', None], [SETTINGS, 'pad_token', None]),
    'qwen2: pad is stated': own([SETTINGS, 'pad_token', '<|pad|>']),
    'qwen2: Qwen2Tokenizer, both stated': own([SETTINGS, 'tokenizer_class', 'Qwen2Tokenizer'], [SETTINGS, 'unk_token', '<|pad|>'], [SETTINGS, 'pad_token', '<|pad|>']),
    'qwen2: Qwen2TokenizerFast': own([SETTINGS, 'tokenizer_class', 'Qwen2TokenizerFast']),
    'qwen2: LlamaTokenizerFast': own([SETTINGS, 'tokenizer_class', 'LlamaTokenizerFast']),
    'qwen2: a class that does not exist': own([SETTINGS, 'tokenizer_class', 'XTokenizer']),
    'qwen2: no class': own([SETTINGS, 'tokenizer_class']),
    'qwen2: TokenizersBackend without eos': own([SETTINGS, 'tokenizer_class', 'TokenizersBackend'], [SETTINGS, 'eos_token']),
    'qwen2: roles that no token has': own([SETTINGS, 'unk_token', '<|new|>'], [SETTINGS, 'mask_token', '<|mask|>']),
    'qwen2: the map states pad': own(['special_tokens_map.json', None, '{"pad_token": "<|pad|>", "unk_token": "<|pad|>"}\n']),
    'qwen2: no room for the token': own(['config.json', 'vocab_size', 290]),
    # Only here tokenizer.json itself determines the pre-tokenizer.
    'qwen3: PreTrainedTokenizerFast': {**qwen3(), 'pre': 'gpt-2'},
    'qwen3: no class': qwen3([SETTINGS, 'tokenizer_class']),
    'qwen3: Qwen2Tokenizer': qwen3([SETTINGS, 'tokenizer_class', 'Qwen2Tokenizer']),
    'qwen3: Qwen2Tokenizer, both stated': qwen3([SETTINGS, 'tokenizer_class', 'Qwen2Tokenizer'], [SETTINGS, 'unk_token', '<|pad|>'], [SETTINGS, 'pad_token', '<|pad|>']),
}


def build(variant, folder):
    base = HERE / variant['base']
    shutil.copytree(base, folder)
    for file, *edit in variant.get('edits', []):
        path = folder / file
        if edit[0] is None:
            path.write_text(edit[1])
            continue
        content = json.loads(path.read_text())
        if len(edit) == 1:
            content.pop(edit[0], None)
        else:
            content[edit[0]] = edit[1]
        path.write_text(json.dumps(content, ensure_ascii=False))
    lines = [*(folder / 'tensors.txt').read_text().splitlines(), *variant.get('extra', [])]
    old, new = variant.get('types', ['', ''])
    tensors = [(at, line.split(' ')) for at, line in enumerate(lines)]
    for file in sorted({line.split(' ')[0] for line in lines}):
        header, data, start = {'__metadata__': {'format': 'pt'}}, [], 0
        for at, (_, name, dtype, dims) in (entry for entry in tensors if entry[1][0] == file):
            shape = [int(n) for n in dims.split(',')]
            dtype = new if dtype == old else dtype
            blob = encoded(at, dtype, int(np.prod(shape)))
            header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [start, start + len(blob)]}
            data.append(blob)
            start += len(blob)
        text = json.dumps(header, separators=(',', ':')).encode()
        text += b' ' * (-len(text) % 8)
        (folder / file).write_bytes(len(text).to_bytes(8, 'little') + text + b''.join(data))
    index = folder / 'model.safetensors.index.json'
    index.unlink(missing_ok=True)
    lacking = variant.get('index')
    if lacking is not None:
        index.write_text(json.dumps({'weight_map': {name: file for _, (file, name, *_) in tensors if name not in lacking}}))


def pre_of(variant):
    return variant.get('pre') or {'llama-3': 'llama-bpe', 'Mistral-Nemo-v0.2': 'tekken'}.get(variant['base'], 'qwen2')


def convert(folder, out, outtype, pre):
    """Runs in a forked process, because importing the modules takes long."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            log = os.open(str(out) + '.log', os.O_CREAT | os.O_WRONLY)
            os.dup2(log, 1), os.dup2(log, 2)
            base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
            sys.argv = ['convert_hf_to_gguf.py', str(folder), '--outfile', str(out), '--outtype', outtype]
            runpy.run_path(str(LLAMA / 'convert_hf_to_gguf.py'), run_name='__main__')
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0 and out.exists()


sys.path[:0] = [str(LLAMA), str(LLAMA / 'gguf-py')]
import torch, transformers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402, F401
torch.set_num_threads(1)
import conversion.base as base  # noqa: E402

with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    for number, (name, variant) in enumerate(VARIANTS.items()):
        folder = place / f'{number}' / variant['base']
        build(variant, folder)
        variant['results'] = {}
        for outtype in variant.pop('outtypes', ['bf16']):
            out = place / f'{number}.{outtype}.gguf'
            made = convert(folder, out, outtype, pre_of(variant))
            variant['results'][outtype] = [hashlib.sha256(out.read_bytes()).hexdigest(), out.stat().st_size] if made else 'refused'
            said = pathlib.Path(f'{out}.log').read_text().strip().splitlines()
            print(name, outtype, variant['results'][outtype] if made else said[-1], flush=True)
            if made and os.environ.get('KEEP'):
                shutil.copy(out, pathlib.Path(os.environ['KEEP']) / f'{number}.{outtype}.gguf')
entries = [{'name': name, **variant} for name, variant in VARIANTS.items()]
(HERE / 'variants.json').write_text('[\n' + ',\n'.join(json.dumps(entry, ensure_ascii=False) for entry in entries) + '\n]\n')
