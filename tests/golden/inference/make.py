"""Makes small random models of every architecture, runs them in llama.cpp, and writes what a test needs to do the same.

    python make.py LIBRARIES

LIBRARIES is the folder of libllama and libggml (bins/linux-x64 of npm @node-llama-cpp/linux-x64 3.22.1); Python needs
gguf 0.19.0 and numpy. Each NAME.json has the metadata and the names and shapes of the tensors, whose weights follow from a
linear congruential sequence; two sequences of tokens; and the logits of all positions, computed with F32 weights, F32
caches and no flash attention.
"""

import base64
import ctypes as c
import json
import os
import sys
import tempfile

import gguf
import numpy as np

VOCABULARY = 48
WIDTH = 32
LAYERS = 4
HIDDEN = 40


def weights(index, name, shape):
    """The weights of tensor `index`: fractions of 24 bits in [-1, 1), scaled; norms are around 1, factors too."""
    state = (index * 7919 + 12345) % 2**32
    out = np.empty(int(np.prod(shape)), np.float32)
    for i in range(len(out)):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = ((state >> 8) - (1 << 23)) / (1 << 23)
    if "norm" in name or "rope" in name:
        return out / np.float32(4) + np.float32(1)
    if name == "token_embd.weight":
        return out
    return out * np.float32(0.375)


class Model:
    def __init__(self, arch, heads=4, key_heads=2, head=8, **metadata):
        self.arch, self.heads, self.key_heads, self.head = arch, heads, key_heads, head
        self.metadata = {
            "block_count": LAYERS,
            "context_length": 64,
            "embedding_length": WIDTH,
            "feed_forward_length": HIDDEN,
            "attention.head_count": heads,
            "attention.head_count_kv": key_heads,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "vocab_size": VOCABULARY,
            **{key.replace("__", "."): value for key, value in metadata.items()},
        }
        self.tensors = []

    def add(self, name, *shape):
        self.tensors.append((name, list(shape)))

    def build(self, head_norm=None, before=True, after=False, fused_qkv=False, fused_gate=False, own=True, bias=(), experts=0, extra=()):
        q, kv = self.heads * self.head, self.key_heads * self.head
        self.add("token_embd.weight", WIDTH, VOCABULARY)
        for name, size in extra:
            self.add(name, size)
        for i in range(LAYERS):
            def put(name, *shape):
                self.add(f"blk.{i}.{name}.weight", *shape)
                if name in bias:
                    self.add(f"blk.{i}.{name}.bias", shape[-1])
            if before:
                put("attn_norm", WIDTH)
            if fused_qkv:
                put("attn_qkv", WIDTH, q + 2 * kv)
            else:
                put("attn_q", WIDTH, q)
                put("attn_k", WIDTH, kv)
                put("attn_v", WIDTH, kv)
            if head_norm == "head":
                put("attn_q_norm", self.head)
                put("attn_k_norm", self.head)
            if head_norm == "row":
                put("attn_q_norm", q)
                put("attn_k_norm", kv)
            put("attn_output", q, WIDTH)
            if after:
                put("post_attention_norm", WIDTH)
            if before:
                put("ffn_norm", WIDTH)
            if experts:
                put("ffn_gate_inp", WIDTH, experts)
                put("ffn_gate_exps", WIDTH, HIDDEN, experts)
                put("ffn_up_exps", WIDTH, HIDDEN, experts)
                put("ffn_down_exps", HIDDEN, WIDTH, experts)
            elif fused_gate:
                put("ffn_up", WIDTH, 2 * HIDDEN)
                put("ffn_down", HIDDEN, WIDTH)
            else:
                put("ffn_gate", WIDTH, HIDDEN)
                put("ffn_up", WIDTH, HIDDEN)
                put("ffn_down", HIDDEN, WIDTH)
            if after:
                put("post_ffw_norm", WIDTH)
        self.add("output_norm.weight", WIDTH)
        if own:
            self.add("output.weight", WIDTH, VOCABULARY)
        if "output" in bias:
            self.add("output.bias", VOCABULARY)
        return self

    def pairs(self):
        """Metadata as (key, type, value)."""
        out = [["general.architecture", "string", self.arch]]
        for key, value in self.metadata.items():
            kind = {bool: "bool", int: "u32", float: "f32", str: "string", list: "bools"}[type(value)]
            out.append([f"{self.arch}.{key}", kind, value])
        out.append(["tokenizer.ggml.model", "string", "none"])
        return out

    def write(self, path):
        writer = gguf.GGUFWriter(path, self.arch)
        add = {
            "bool": writer.add_bool,
            "u32": writer.add_uint32,
            "f32": writer.add_float32,
            "string": writer.add_string,
            "bools": writer.add_array,
        }
        for key, kind, value in self.pairs()[1:]:
            add[kind](key, value)
        for index, (name, shape) in enumerate(self.tensors):
            writer.add_tensor(name, weights(index, name, shape).reshape(shape[::-1]))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


BIASES = ("attn_q", "attn_k", "attn_v")
MODELS = {
    "llama": Model("llama", rope__dimension_count=8).build(own=False, extra=[("rope_freqs.weight", 4)]),
    "llama-biases": Model("llama", rope__dimension_count=8, rope__scaling__type="linear", rope__scaling__factor=4.0).build(
        bias=(*BIASES, "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    ),
    "llama-yarn": Model(
        "llama", rope__dimension_count=8, rope__scaling__type="yarn", rope__scaling__factor=4.0,
        rope__scaling__original_context_length=16,
    ).build(fused_qkv=True),
    "llama-experts": Model("llama", rope__dimension_count=8, expert_count=4, expert_used_count=2).build(experts=4),
    "smollm3": Model("smollm3", rope__freq_base=500000.0).build(own=False),
    "qwen2": Model("qwen2", rope__freq_base=1000000.0).build(bias=(*BIASES, "output")),
    "qwen3": Model(
        "qwen3", head=12, attention__key_length=12, attention__value_length=12, rope__freq_base=1000000.0
    ).build(head_norm="head", own=False),
    "qwen3moe": Model(
        "qwen3moe", head=8, attention__key_length=8, attention__value_length=8, expert_count=8, expert_used_count=3,
        expert_feed_forward_length=HIDDEN,
    ).build(head_norm="head", experts=8),
    "gemma2": Model("gemma2", head=16, attention__key_length=16, attention__value_length=16, attention__sliding_window=7).build(
        after=True, own=False
    ),
    "gemma3": Model(
        "gemma3", head=16, attention__key_length=16, attention__value_length=16, attention__sliding_window=5,
        attention__sliding_window_pattern=3, rope__freq_base=1000000.0, rope__scaling__type="linear", rope__scaling__factor=8.0,
    ).build(head_norm="head", after=True, own=False),
    "phi3": Model("phi3", rope__dimension_count=6, attention__sliding_window=64).build(fused_qkv=True, fused_gate=True),
    "phi3-factors": Model(
        "phi3", rope__dimension_count=8, rope__scaling__original_context_length=16, rope__scaling__attn_factor=1.25,
        rope__scaling__type="longrope",
    ).build(fused_qkv=True, fused_gate=True, extra=[("rope_factors_long.weight", 4), ("rope_factors_short.weight", 4)]),
    "olmo2": Model("olmo2").build(head_norm="row", before=False, after=True),
    "olmo3": Model(
        "olmo2", attention__sliding_window=6, attention__sliding_window_pattern=[True, True, False, True],
        rope__scaling__type="yarn", rope__scaling__factor=8.0, rope__scaling__original_context_length=16,
    ).build(head_norm="row", before=False, after=True),
}


class Settings(c.Structure):
    _fields_ = [("words", c.c_uint64 * 64)]


class Context(c.Structure):
    """llama_context_params of llama.cpp v0.5.0."""
    _fields_ = [
        *[(name, c.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "outputs", "outputs_seq")],
        *[(name, c.c_int32) for name in ("threads", "threads_batch", "type", "scaling", "pooling", "attention", "flash")],
        *[(name, c.c_float) for name in ("base", "scale", "ext", "attn", "fast", "slow")],
        ("orig", c.c_uint32), ("defrag", c.c_float), ("eval", c.c_void_p), ("data", c.c_void_p),
        ("type_k", c.c_int32), ("type_v", c.c_int32), ("rest", c.c_uint64 * 32),
    ]


class Batch(c.Structure):
    _fields_ = [
        ("n_tokens", c.c_int32), ("token", c.POINTER(c.c_int32)), ("embd", c.c_void_p), ("pos", c.c_void_p),
        ("n_seq_id", c.c_void_p), ("seq_id", c.c_void_p), ("logits", c.POINTER(c.c_int8)),
    ]


class Llama:
    def __init__(self, folder):
        names = ["libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"]
        base, ggml, self.lib = [c.CDLL(os.path.join(folder, name), mode=c.RTLD_GLOBAL) for name in names]
        ggml.ggml_backend_load_all_from_path(folder.encode())
        lib = self.lib
        lib.llama_model_default_params.restype = Settings
        lib.llama_context_default_params.restype = Context
        lib.llama_model_load_from_file.restype = c.c_void_p
        lib.llama_model_load_from_file.argtypes = [c.c_char_p, Settings]
        lib.llama_init_from_model.restype = c.c_void_p
        lib.llama_init_from_model.argtypes = [c.c_void_p, Context]
        lib.llama_get_logits.restype = c.POINTER(c.c_float)
        for name in ("llama_get_logits", "llama_get_memory", "llama_free", "llama_model_free"):
            getattr(lib, name).argtypes = [c.c_void_p]
        lib.llama_get_memory.restype = c.c_void_p
        lib.llama_memory_clear.argtypes = [c.c_void_p, c.c_bool]
        lib.llama_decode.argtypes = [c.c_void_p, Batch]
        lib.llama_set_n_threads.argtypes = [c.c_void_p, c.c_int, c.c_int]
        self.log = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)(
            lambda level, text, data: sys.stderr.write(text.decode()) if level >= 4 and level != 5 else None
        )
        lib.llama_log_set(self.log, None)

    def logits(self, path, sequences, vocabulary, context):
        lib = self.lib
        model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        assert model, path
        settings = lib.llama_context_default_params()
        assert (settings.n_batch, settings.n_ubatch, settings.type_k, settings.type_v) == (2048, 512, 1, 1)
        settings.n_ctx, settings.type_k, settings.type_v, settings.flash = context, 0, 0, 0
        handle = lib.llama_init_from_model(model, settings)
        assert handle
        lib.llama_set_n_threads(handle, 1, 1)
        out = []
        for tokens in sequences:
            lib.llama_memory_clear(lib.llama_get_memory(handle), True)
            count = len(tokens)
            batch = Batch(count, (c.c_int32 * count)(*tokens), None, None, None, None, (c.c_int8 * count)(*[1] * count))
            assert lib.llama_decode(handle, batch) == 0
            out.append(np.ctypeslib.as_array(lib.llama_get_logits(handle), (count, vocabulary)).copy())
        lib.llama_free(handle)
        lib.llama_model_free(model)
        return out


def main(folder):
    llama = Llama(folder)
    here = os.path.dirname(os.path.abspath(__file__))
    sequences = [[(i * i * 5 + i * 7 + 3) % VOCABULARY for i in range(24)], [(i * 11 + 2) % VOCABULARY for i in range(9)]]
    for name, model in MODELS.items():
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "model.gguf")
            model.write(path)
            logits = llama.logits(path, sequences, VOCABULARY, 256)
        values = np.concatenate(logits).astype("<f4")
        print(name, values.std(), np.abs(values).max())
        golden = {
            "provenance": "make.py: llama.cpp v0.5.0 of npm @node-llama-cpp/linux-x64@3.22.1, gguf 0.19.0, 2026-12-01",
            "metadata": model.pairs(),
            "tensors": model.tensors,
            "context": 256,
            "sequences": sequences,
            "logits": {"shape": list(values.shape), "base64": base64.b64encode(values.tobytes()).decode()},
        }
        with open(os.path.join(here, f"{name}.json"), "w") as file:
            json.dump(golden, file, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
