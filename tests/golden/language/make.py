"""Writes the folders of tests/golden/language and, for each, the file of llama.cpp's own convert_hf_to_gguf.py.

    python make.py OUT LLAMA_CPP TEXT

OUT gets one folder per model: the small files that are committed, and the weights and GGUF files, which are not. LLAMA_CPP is
`vendor/llama.cpp` of the source package of llama-cpp-python 0.3.36; transformers 5.24, tokenizers 0.23 and torch 2.15 must be installed.
TEXT is the training text of the tokenizers: eval.txt of tiny-whale (CC0).
"""
import hashlib, json, os, subprocess, sys
from pathlib import Path

OUT, LLAMA, TEXT = (Path(a).resolve() for a in sys.argv[1:4])
os.environ['HF_HUB_OFFLINE'] = '1'
import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r'\p{N}{1,3}', r'\p{N}')
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(regex):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


PRE = {
    'llama-bpe': split(LLAMA3),
    'qwen2': split(QWEN2),
    'tekken': split(TEKKEN),
    'smollm': pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    'gpt-2': pre_tokenizers.ByteLevel(add_prefix_space=False),
}


def byte_level(pre, specials, size=384, nfc=False, ignore_merges=False):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = PRE[pre]
    tok.decoder = decoders.ByteLevel()
    first = [] if pre in ('qwen2', 'llama-bpe') else specials
    tok.train([str(TEXT)], trainers.BpeTrainer(vocab_size=size, special_tokens=first, show_progress=False,
                                               initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tok.add_special_tokens(specials)
    return tok


def byte_fallback():
    """SentencePiece tokens in the form of tokenizer.json."""
    seed = Tokenizer(models.BPE(byte_fallback=True, unk_token='<unk>', fuse_unk=True))
    seed.pre_tokenizer = pre_tokenizers.Metaspace()
    first = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    seed.train([str(TEXT)], trainers.BpeTrainer(vocab_size=384, special_tokens=first, show_progress=False))
    raw = json.loads(seed.to_str())
    raw['added_tokens'] = raw['added_tokens'][:3]
    raw['pre_tokenizer'] = None
    tok = Tokenizer.from_str(json.dumps(raw))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend('\u2581'), normalizers.Replace(' ', '\u2581')])
    tok.decoder = decoders.Sequence([decoders.Replace('\u2581', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    tok.add_special_tokens(['[INST]'])
    tok.add_tokens(['<tool>'])
    tok.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A <s>:1 $B:1', special_tokens=[('<s>', 1)])
    return tok


def sentence_pieces(path):
    """The SentencePiece model file."""
    import sentencepiece
    sentencepiece.SentencePieceTrainer.train(input=str(TEXT), model_prefix=str(path.with_suffix('')), vocab_size=400, model_type='bpe',
                                             byte_fallback=True, normalization_rule_name='identity', user_defined_symbols=['[TOOL]'], control_symbols=['[CTRL]'], minloglevel=2)
    path.with_suffix('.vocab').unlink()


def word_piece(lowercase=True):
    tok = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    tok.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train([str(TEXT)], trainers.WordPieceTrainer(vocab_size=400, show_progress=False,
                                                     special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']))
    tok.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B:1 [SEP]:1',
                                                       special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
    return tok


def llama_tensors(c, bias=False, qk_norm=False, dtype='BF16'):
    e, f, h, kv = c['hidden_size'], c['intermediate_size'], c['num_attention_heads'], c['num_key_value_heads']
    d = c.get('head_dim') or e // h
    out = [('model.embed_tokens.weight', [c['vocab_size'], e]), ('model.norm.weight', [e])]
    for i in range(c['num_hidden_layers']):
        p = f'model.layers.{i}.'
        out += [(p + 'self_attn.q_proj.weight', [h * d, e]), (p + 'self_attn.k_proj.weight', [kv * d, e]),
                (p + 'self_attn.v_proj.weight', [kv * d, e]), (p + 'self_attn.o_proj.weight', [e, h * d]),
                (p + 'mlp.gate_proj.weight', [f, e]), (p + 'mlp.up_proj.weight', [f, e]), (p + 'mlp.down_proj.weight', [e, f]),
                (p + 'input_layernorm.weight', [e]), (p + 'post_attention_layernorm.weight', [e])]
        if bias:
            out += [(p + 'self_attn.q_proj.bias', [h * d]), (p + 'self_attn.k_proj.bias', [kv * d]), (p + 'self_attn.v_proj.bias', [kv * d])]
        if qk_norm:
            out += [(p + 'self_attn.q_norm.weight', [d]), (p + 'self_attn.k_norm.weight', [d])]
    if not c.get('tie_word_embeddings'):
        out.append(('lm_head.weight', [c['vocab_size'], e]))
    return [(n, dtype, s) for n, s in out]


def bert_tensors(c):
    e, f = c['hidden_size'], c['intermediate_size']
    out = [('embeddings.word_embeddings.weight', 'F32', [c['vocab_size'], e]),
           ('embeddings.position_embeddings.weight', 'F32', [c['max_position_embeddings'], e]),
           ('embeddings.token_type_embeddings.weight', 'F32', [c['type_vocab_size'], e]),
           ('embeddings.LayerNorm.weight', 'F32', [e]), ('embeddings.LayerNorm.bias', 'F32', [e]),
           ('embeddings.position_ids', 'I64', [1, c['max_position_embeddings']]),
           ('pooler.dense.weight', 'F32', [e, e]), ('pooler.dense.bias', 'F32', [e])]
    for i in range(c['num_hidden_layers']):
        p = f'encoder.layer.{i}.'
        for part, o, n in [('attention.self.query', e, e), ('attention.self.key', e, e), ('attention.self.value', e, e),
                           ('attention.output.dense', e, e), ('intermediate.dense', f, e), ('output.dense', e, f)]:
            out += [(f'{p}{part}.weight', 'F32', [o, n]), (f'{p}{part}.bias', 'F32', [o])]
        for part in ('attention.output.LayerNorm', 'output.LayerNorm'):
            out += [(f'{p}{part}.weight', 'F32', [e]), (f'{p}{part}.bias', 'F32', [e])]
    return out


def values(index, count):
    """A linear congruential sequence, its upper 24 bits as a fraction from -1/16 to 1/16: exact in F32."""
    x = np.empty(count, np.uint32)
    state = (index * 7919 + 12345) & 0xffffffff
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        x[i] = state
    return ((x >> 8).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0 ** -27)


def encoded(index, dtype, count):
    if dtype == 'I64':
        return np.arange(count, dtype='<i8').tobytes()
    v = values(index, count)
    if dtype == 'BF16':
        return (v.view(np.uint32) >> 16).astype('<u2').tobytes()
    return v.astype({'F32': '<f4', 'F16': '<f2'}[dtype]).tobytes()


def safetensors(path, tensors):
    header, data, at = {'__metadata__': {'format': 'pt'}}, [], 0
    for index, (name, dtype, shape) in tensors:
        blob = encoded(index, dtype, int(np.prod(shape)))
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + len(blob)]}
        data.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, 'little') + text + b''.join(data))


def write(name, config, tok, tensors, tok_config, generation=None, shards=1, files=None, readme=None):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    put = lambda n, v: (folder / n).write_text(json.dumps(v, ensure_ascii=False, indent=1) + '\n')
    put('config.json', config)
    if tok is not None:
        (folder / 'tokenizer.json').write_text(tok.to_str(pretty=False) + '\n')
    put('tokenizer_config.json', tok_config)
    if generation:
        put('generation_config.json', generation)
    for n, v in (files or {}).items():
        (folder / n).parent.mkdir(exist_ok=True)
        (folder / n).write_bytes((v if isinstance(v, str) else json.dumps(v) + '\n').encode())
    lines, numbered = [], list(enumerate(tensors))
    for s in range(shards):
        part = numbered[s * len(numbered) // shards:(s + 1) * len(numbered) // shards]
        file = 'model.safetensors' if shards == 1 else f'model-{s + 1:05}-of-{shards:05}.safetensors'
        safetensors(folder / file, part)
        lines += [f'{file} {n} {d} {",".join(map(str, s))}' for _, (n, d, s) in part]
    (folder / 'tensors.txt').write_text('\n'.join(lines) + '\n')
    if shards > 1:
        put('model.safetensors.index.json', {'metadata': {}, 'weight_map': {l.split(' ')[1]: l.split(' ')[0] for l in lines}})


def llama_config(**more):
    return {'architectures': ['LlamaForCausalLM'], 'model_type': 'llama', 'vocab_size': 384, 'hidden_size': 32,
            'intermediate_size': 64, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 2,
            'hidden_act': 'silu', 'max_position_embeddings': 512, 'rms_norm_eps': 1e-5, 'rope_theta': 10000.0,
            'tie_word_embeddings': False, 'torch_dtype': 'bfloat16', **more}


def make():
    chatml = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
    template = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    # SmolLM: a llama with tied embeddings, a model card, a chat template in a list, a padded vocabulary.
    c = llama_config(tie_word_embeddings=True, vocab_size=400, bos_token_id=1, eos_token_id=2, pad_token_id=2, rope_theta=100000)
    write('SmolLM9-21K-Instruct', c, byte_level('smollm', chatml), llama_tensors(c),
          {'tokenizer_class': 'PreTrainedTokenizerFast', 'add_prefix_space': False, 'bos_token': '<|im_start|>', 'eos_token': '<|im_end|>',
           'unk_token': '<|endoftext|>', 'pad_token': '<|im_end|>', 'chat_template': template, 'clean_up_tokenization_spaces': False},
          {'bos_token_id': 1, 'eos_token_id': 2, 'temperature': 0.6, 'top_p': 0.9, 'top_k': 40})
    # Llama 3: F32 weights, biases, RoPE scaling, beginning-of-text by template, the regular expression for three digits.
    c = llama_config(num_key_value_heads=4, rope_theta=500000.0, bos_token_id=384, eos_token_id=[385, 386], attention_bias=True, head_dim=8, vocab_size=387,
                     rope_scaling={'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0, 'original_max_position_embeddings': 64, 'rope_type': 'llama3'})
    tok = byte_level('llama-bpe', ['<|begin_of_text|>', '<|end_of_text|>', '<|eot_id|>'], ignore_merges=True)
    tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single='<|begin_of_text|> $A', pair='<|begin_of_text|> $A <|begin_of_text|>:1 $B:1', special_tokens=[('<|begin_of_text|>', 384)])])
    write('llama-3', c, tok, llama_tensors(c, dtype='F32', bias=True),
          {'tokenizer_class': 'PreTrainedTokenizerFast', 'bos_token': '<|begin_of_text|>', 'eos_token': '<|end_of_text|>',
           'added_tokens_decoder': {}, 'model_max_length': 512})
    # Mistral: F16, heads wider than the model, a sliding window, tekken.
    c = {**llama_config(head_dim=16, sliding_window=128, bos_token_id=1, eos_token_id=2, rope_theta=1000000.0, torch_dtype='float16'),
         'architectures': ['MistralForCausalLM'], 'model_type': 'mistral'}
    tok = byte_level('tekken', ['<unk>', '<s>', '</s>', '[INST]', '[/INST]'])
    tok.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A <s>:1 $B:1', special_tokens=[('<s>', 1)])
    write('Mistral-Nemo-v0.2', c, tok, llama_tensors(c, dtype='F16'),
          {'tokenizer_class': 'PreTrainedTokenizerFast', 'add_bos_token': True, 'add_eos_token': False,
           'bos_token': {'content': '<s>', '__type': 'AddedToken'}, 'eos_token': '</s>', 'unk_token': '<unk>'})
    # Mistral with SentencePiece tokens: as a model file with added tokens in two other files; and as tokenizer.json.
    c = {**llama_config(vocab_size=410, bos_token_id=1, eos_token_id=2), 'architectures': ['MistralForCausalLM'], 'model_type': 'mistral'}
    write('mistral-pieces', c, None, llama_tensors(c, dtype='F16'),
          {'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': True, 'add_eos_token': False, 'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>',
           'added_tokens_decoder': {'0': {'content': '<unk>', 'special': True}, '1': {'content': '<s>', 'special': True}, '2': {'content': '</s>', 'special': True},
                                    '402': {'content': '<\u2581odd>', 'special': False}, '403': {'content': '<|end|>', 'special': False}}},
          files={'added_tokens.json': {'<extra>': 401, '<beyond>': 999}})
    sentence_pieces(OUT / 'mistral-pieces' / 'tokenizer.model')
    c = {**c, 'vocab_size': 386}
    write('mistral-fallback', c, byte_fallback(), llama_tensors(c, dtype='F16'),
          {'tokenizer_class': 'PreTrainedTokenizerFast', 'add_bos_token': True, 'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>', 'legacy': False})
    # Qwen2: biases, two files, NFC, a larger vocabulary than the tokenizer's, yarn.
    c = {**llama_config(vocab_size=400, rope_theta=1000000.0, tie_word_embeddings=True, eos_token_id=384, bos_token_id=384, use_sliding_window=False,
                        sliding_window=512, max_window_layers=2, rope_scaling={'type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 128}),
         'architectures': ['Qwen2ForCausalLM'], 'model_type': 'qwen2'}
    tok = byte_level('qwen2', chatml, nfc=True)
    tok.add_tokens(['<tool_call>', '</tool_call>'])
    write('Qwen2.5-0.5B-Instruct', c, tok, llama_tensors(c, bias=True),
          {'tokenizer_class': 'Qwen2Tokenizer', 'add_bos_token': False, 'add_prefix_space': False, 'bos_token': None, 'eos_token': '<|im_end|>',
           'pad_token': '<|endoftext|>', 'unk_token': None, 'errors': 'replace', 'chat_template': template, 'split_special_tokens': False},
          {'bos_token_id': 384, 'do_sample': True, 'eos_token_id': [386, 384], 'repetition_penalty': 1.1, 'temperature': 0.7, 'top_p': 0.8, 'top_k': 20},
          shards=2)
    # Qwen3: query and key norms, wide heads, a template in a separate file.
    c = {**llama_config(vocab_size=400, head_dim=16, rope_theta=1000000, tie_word_embeddings=True, eos_token_id=386, bos_token_id=384, max_window_layers=2, rms_norm_eps=1e-6,
                        rope_scaling=None, sliding_window=None, use_sliding_window=False, attention_bias=False),
         'architectures': ['Qwen3ForCausalLM'], 'model_type': 'qwen3'}
    tok = byte_level('qwen2', chatml, nfc=True)
    write('qwen3', c, tok, llama_tensors(c, qk_norm=True),
          {'tokenizer_class': 'Qwen2Tokenizer', 'add_bos_token': False, 'bos_token': None, 'eos_token': '<|im_end|>', 'pad_token': '<|endoftext|>'},
          {'temperature': 0.6, 'top_k': 20, 'top_p': 0.95}, files={'chat_template.jinja': template})
    # A Qwen3 reranker: recognised by its name, tied embeddings, templates in a folder, one of them with CRLF line ends.
    tok = byte_level('qwen2', chatml, nfc=True)
    tok.add_tokens(['yes', 'no'])
    settings = {'tokenizer_class': 'Qwen2Tokenizer', 'add_bos_token': False, 'bos_token': None, 'eos_token': '<|im_end|>', 'pad_token': '<|endoftext|>'}
    write('Qwen3-Reranker-9K', c, tok, llama_tensors(c, qk_norm=True), settings,
          files={'chat_template.jinja': template, 'additional_chat_templates/rag mode.jinja': 'first\r\nsecond', 'additional_chat_templates/tool_use.jinja': template + '{{ tools }}'})
    # Recognised by its model card, with an untied output in the second of two files, and a list of templates, two of which get the same name.
    c = {**c, 'tie_word_embeddings': False}
    write('ranker', c, tok, llama_tensors(c, qk_norm=True, dtype='F16'),
          {**settings, 'chat_template': [{'name': 'a b', 'template': 'one'}, {'name': 'default', 'template': template}, {'name': 'tool_use', 'template': 'two'},
                                         {'name': 'a_b', 'template': 'three'}, {'name': 'empty', 'template': ''}]},
          files={'README.md': '---\nlicense: apache-2.0\nname: ""\n---\n# Qwen3-Reranker-4B\n'}, shards=2)
    # CodeLlama, which the script recognises by its number of tokens; a template whose last token differs from the settings.
    c = llama_config(vocab_size=32016, hidden_size=16, intermediate_size=32, num_hidden_layers=1, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
    write('codellama', c, None, llama_tensors(c),
          {'tokenizer_class': 'CodeLlamaTokenizer', 'add_bos_token': True, 'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>', 'add_prefix_space': True,
           'prefix_token': '\u2581<PRE>', 'suffix_token': '\u2581<SUF>', 'middle_token': '\u2581<MID>', 'eot_token': '\u2581<EOT>'},
          files={'tokenizer.json': {'added_tokens': [{'id': 1, 'content': '<s>'}, {'id': 2, 'content': '</s>'}, {'id': 32010, 'content': '\u2581<EOT>'}], 'model': {},
                                    'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': '<s>'}}, {'Sequence': {'id': 'A'}}, {'SpecialToken': {'id': '<end>'}}],
                                                       'pair': [{'Sequence': {'id': 'A'}}, {'Sequence': {'id': 'B'}}]}}})
    sentence_pieces(OUT / 'codellama' / 'tokenizer.model')
    # BERT: pooling from sentence-transformers' files, a model card.
    c = {'architectures': ['BertModel'], 'model_type': 'bert', 'vocab_size': 400, 'hidden_size': 32, 'intermediate_size': 64,
         'num_hidden_layers': 2, 'num_attention_heads': 4, 'max_position_embeddings': 64, 'type_vocab_size': 2,
         'layer_norm_eps': 1e-12, 'pad_token_id': 0, 'hidden_act': 'gelu', 'torch_dtype': 'float32'}
    write('mini-bert-L2-v1', c, word_piece(), bert_tensors(c),
          {'tokenizer_class': 'BertTokenizer', 'do_lower_case': True, 'unk_token': '[UNK]', 'sep_token': '[SEP]', 'pad_token': '[PAD]',
           'cls_token': '[CLS]', 'mask_token': '[MASK]', 'tokenize_chinese_chars': True, 'strip_accents': None, 'model_max_length': 64},
          files={'modules.json': [{'idx': 0, 'name': '0', 'path': '', 'type': 'sentence_transformers.models.Transformer'},
                                  {'idx': 1, 'name': '1', 'path': '1_Pooling', 'type': 'sentence_transformers.models.Pooling'}],
                 '1_Pooling/config.json': {'word_embedding_dimension': 32, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True},
                 'README.md': '---\nlanguage: en\nlicense: apache-2.0\nlibrary_name: sentence-transformers\ntags:\n- sentence-transformers\n- "feature-extraction"\ndatasets:\n- s2orc\n- embedding-data/QQP # pairs\nbase_model: [org/some-base-7B]\npipeline_tag: sentence-similarity\nwidget:\n- text: >\n    nested\n---\n\n# mini-bert\n'})

    # BERT with its head, which is dropped; cased, and config.json has a label.
    c = {**c, 'architectures': ['BertForMaskedLM'], 'id2label': {'0': 'LABEL_0'}, 'label2id': {'LABEL_0': 0}, '_name_or_path': 'Org/cased-bert-base-v1.5'}
    tensors = [('bert.' + n.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'), 'F16' if d == 'F32' else d, s)
               for n, d, s in bert_tensors(c)]
    write('masked-bert', c, word_piece(lowercase=False), [*tensors, ('cls.predictions.bias', 'F16', [400]), ('cls.seq_relationship.weight', 'F16', [2, 32])],
          {'tokenizer_class': 'BertTokenizer', 'do_lower_case': False, 'unk_token': '[UNK]', 'sep_token': '[SEP]', 'pad_token': '[PAD]', 'cls_token': '[CLS]', 'mask_token': '[MASK]'},
          files={'modules.json': [{'path': '1_Pooling', 'type': 'sentence_transformers.models.Pooling'}], '1_Pooling/config.json': {'pooling_mode': 'cls'}})


PRE_OF = {'SmolLM9-21K-Instruct': 'smollm', 'llama-3': 'llama-bpe', 'Mistral-Nemo-v0.2': 'tekken', 'Qwen2.5-0.5B-Instruct': 'qwen2', 'qwen3': 'qwen2',
          'mini-bert-L2-v1': 'jina-v2-en', 'tiny-whale-hf': 'gpt-2',
          'masked-bert': 'jina-v2-en', 'mistral-pieces': '-', 'mistral-fallback': '-', 'Qwen3-Reranker-9K': 'qwen2', 'ranker': 'qwen2', 'codellama': '-'}
# Names of several templates, in the order in which the script must write them: it stores them in a set.
NAMES_OF = {'Qwen3-Reranker-9K': ['rag_mode', 'tool_use'], 'ranker': ['a_b', 'tool_use', 'empty']}


def hash_seed(names):
    """A PYTHONHASHSEED with which a set of these names has this order."""
    code = 'import sys; print(list(set(sys.argv[1:])) == sys.argv[1:])'
    tries = ((str(seed), subprocess.run([sys.executable, '-c', code, *names], env={**os.environ, 'PYTHONHASHSEED': str(seed)}, capture_output=True, text=True)) for seed in range(1000))
    return next(seed for seed, run in tries if run.stdout == 'True\n')


def convert(name, outtype, folder=None):
    """Runs the real script in a separate process. Its table of hashes does not contain the tokenizers trained here, and the files of a
    folder are sorted by name instead of by the file system."""
    code = ('import pathlib; glob = pathlib.Path.glob; pathlib.Path.glob = lambda self, pattern: sorted(glob(self, pattern))\n'
            'import sys, os; sys.path.insert(0, sys.argv[1]); from conversion.base import TextModel, ModelBase; pre = sys.argv[2]\n'
            'if pre != "-": TextModel.get_vocab_base_pre = lambda self, tokenizer: pre\n'
            'script = os.path.join(sys.argv[1], "convert_hf_to_gguf.py"); sys.argv = [script] + sys.argv[3:]\n'
            'import runpy; runpy.run_path(script, run_name="__main__")')
    folder = folder or OUT / name
    target = OUT / f'{name}.{outtype}.gguf'
    run = subprocess.run([sys.executable, '-c', code, str(LLAMA), PRE_OF.get(name, '-'), str(folder), '--outfile', str(target), '--outtype', outtype],
                         capture_output=True, text=True, env={**os.environ, 'PYTHONHASHSEED': hash_seed(NAMES_OF.get(name, []))})
    if run.returncode:
        print(run.stderr[-3000:])
        raise SystemExit(f'{name}: the script failed')
    return target


if __name__ == '__main__':
    make()
    sums = []
    for name in PRE_OF:
        folder = OUT / name
        for outtype in ('f32', 'f16', 'bf16'):
            if not folder.exists():
                continue
            target = convert(name, outtype)
            sums.append(f'{name} {outtype} {hashlib.sha256(target.read_bytes()).hexdigest()} {target.stat().st_size}')
            print(sums[-1], flush=True)
    (OUT / 'sha256.txt').write_text('\n'.join(sums) + '\n')
