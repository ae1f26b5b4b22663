"""Tokenizes a text with llama.cpp, with the vocabulary of Tiny Whale under the name of every pre-tokenizer, and with a
SentencePiece vocabulary made of its tokens.

    python tokens.py LIBRARIES

As make.py. tokens.json has the text, the tokens by pre-tokenizer, and the SentencePiece vocabulary with its tokens.
"""

import base64
import ctypes as c
import json
import os
import sys
import tempfile

import gguf

from make import Llama, Settings

HERE = os.path.dirname(os.path.abspath(__file__))
WHALE = os.path.join(HERE, "../../fixtures/tiny-whale/tiny-whale-f16.gguf")
PRES = """default gpt-2 mpt llama-bpe dbrx glm4 qwen2 qwen35 smollm falcon deepseek-v3 deepseek-llm deepseek-coder tekken gpt-4o bloom
viking minicpm5 laguna""".split()
PARTS = [
    "The white whale's eyes weren't there; I'll say WE'RE sure, they'd gone & he'S 'tis 'LL.\n",
    "   three spaces,\ttabs\t\t and  two \r\n\r\n\n  newlines \n\n\n   \n end   ",
    "1 12 123 1234 12345678 3.14159 1,000,000 \u0663\u0664 \u2167 \u00bd x2y3 0x1F\n",
    "HTTPServer parseXML camelCase snake_case SCREAMING_CASE iPhone McDonald a1b2\n",
    "!!! ... ?!?! (parentheses) [brackets] {braces} <tags/> #hash @at $5 +1 -2 *3* a+b=c; x|y ^z ~ `code`\n",
    "na\u00efve caf\u00e9 Stra\u00dfe \u0391\u03bb\u03c6\u03b1 \u041c\u043e\u0431\u0438 \u4e2d\u6587\u5b57\u7b26\u3042\u30ab\ud55c\uad6d \u0e44\u0e17\u0e22 \u05e2\u05d1 \u0639\u0631\u0628\u060c \u0939\u093f\u0928\u094d\u0926\u0940\u0964\n",
    "e\u0301 n\u0303 \u0301 \u200b\u00a0\u3000\u2028 \u1f600 \U0001f600\U0001f1e9\U0001f1ea\U0001f469\u200d\U0001f680\u2764\ufe0f\n",
    "def f(x):\n    return x**2  # squared\n\n\tif (a != b) { c += 1; }\n\\u0041 \\n <|endoftext|> <s></s> <unk>\n",
    "\u2581under \u2581\u2581 score \u017fpecial \u212a \uff0c\u3001\u2026 \u06d4 \u0000 \u001f \u007f \u0085 end",
]
TEXT = "".join(PARTS).encode() + b" \xff\xfe broken \xe2\x82 \xc3 \xf0\x9f\x98 \x80 " + b"whale " * 5 + b"   "


def tokenize(lib, path, text, special, parse):
    settings = lib.llama_model_default_params()
    c.cast(c.pointer(settings), c.POINTER(c.c_uint8))[72] = 1  # vocab_only
    model = lib.llama_model_load_from_file(path.encode(), settings)
    assert model, path
    vocabulary = lib.llama_model_get_vocab(model)
    tokens = (c.c_int32 * (len(text) + 8))()
    count = lib.llama_tokenize(vocabulary, text, len(text), tokens, len(tokens), special, parse)
    lib.llama_model_free(model)
    assert count >= 0
    return list(tokens[:count])


def write(path, pairs):
    writer = gguf.GGUFWriter(path, "llama")
    for key in ("context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"):
        writer.add_uint32("llama." + key, 8)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    for key, (kind, value) in pairs.items():
        {"string": writer.add_string, "bool": writer.add_bool, "array": writer.add_array}[kind](key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def prepare(lib):
    lib.llama_model_get_vocab.argtypes = [c.c_void_p]
    lib.llama_model_get_vocab.restype = c.c_void_p
    lib.llama_tokenize.argtypes = [c.c_void_p, c.c_char_p, c.c_int32, c.c_void_p, c.c_int32, c.c_bool, c.c_bool]


def letters():
    """GPT-2's letters, to bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def main(folder):
    llama = Llama(folder)  # it has the log callback, which must live
    lib = llama.lib
    prepare(lib)
    reader = gguf.GGUFReader(WHALE)
    field = lambda name: reader.fields["tokenizer.ggml." + name].contents()
    tokens, types, merges = field("tokens"), [int(t) for t in field("token_type")], field("merges")
    golden = {
        "provenance": "tokens.py: llama.cpp v0.5.0 of npm @node-llama-cpp/linux-x64@3.22.1, gguf 0.19.0, 2026-12-01",
        "text": base64.b64encode(TEXT).decode(),
        "pre": {},
    }
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "vocabulary.gguf")
        for pre in PRES:
            write(path, {
                "tokenizer.ggml.model": ("string", "gpt2"),
                "tokenizer.ggml.pre": ("string", pre),
                "tokenizer.ggml.tokens": ("array", tokens),
                "tokenizer.ggml.token_type": ("array", types),
                "tokenizer.ggml.merges": ("array", merges),
            })
            golden["pre"][pre] = tokenize(lib, path, TEXT, True, True)
            print(pre, len(golden["pre"][pre]))
        table = letters()
        pieces = []
        for token in tokens:
            if all(letter in table for letter in token):
                text = bytes(table[letter] for letter in token)
                try:
                    piece = text.decode().replace(" ", "\u2581")
                except UnicodeDecodeError:
                    continue
                if piece and piece not in pieces and not piece.startswith("<"):
                    pieces.append(piece)
        pieces.append("\u2581\u2581")
        names = ["<unk>", "<s>", "</s>", *[f"<0x{b:02X}>" for b in range(256)], *pieces]
        kinds = [2, 3, 3, *[6] * 256, *[1] * (len(pieces) - 1), 4]
        scores = [0.0] * 259 + [-float(i // 2) for i in range(len(pieces))]
        golden["pieces"] = {"tokens": names, "types": kinds, "scores": scores}
        write(path, {
            "tokenizer.ggml.model": ("string", "llama"),
            "tokenizer.ggml.tokens": ("array", names),
            "tokenizer.ggml.scores": ("array", scores),
            "tokenizer.ggml.token_type": ("array", kinds),
        })
        golden["pieces"]["plain"] = tokenize(lib, path, TEXT, False, False)
        golden["pieces"]["special"] = tokenize(lib, path, TEXT, True, True)
        print("pieces", len(names), len(golden["pieces"]["plain"]), len(golden["pieces"]["special"]))
    with open(os.path.join(HERE, "tokens.json"), "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
