"""Runs Tiny Whale in llama.cpp: tokens of its texts, logits and losses.

    python whale.py LIBRARIES

As make.py. The weights are those of the F16 file, stored as F32, so that llama.cpp computes with F32 throughout.
whale.json has the number and the SHA-256 of the tokens (little-endian, 32 bits each) of calib.txt and eval.txt, the sum of
the losses of the second halves of the first chunks of eval.txt, and the logits of the last two positions of each.
"""

import base64
import hashlib
import json
import os
import sys
import tempfile

import gguf
import numpy as np

from make import Llama
from tokens import HERE, WHALE, prepare, tokenize

CHUNK, CHUNKS = 256, 8


def widen(path):
    """Writes the model with F32 weights."""
    reader = gguf.GGUFReader(WHALE)
    writer = gguf.GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind = field.types[0]
            writer.add_key_value(name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.asarray(tensor.data, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(folder):
    llama = Llama(folder)
    prepare(llama.lib)
    golden = {"provenance": "whale.py: llama.cpp v0.5.0 of npm @node-llama-cpp/linux-x64@3.22.1, gguf 0.19.0, 2026-12-01"}
    for name in ("calib", "eval"):
        with open(os.path.join(os.path.dirname(WHALE), name + ".txt"), "rb") as file:
            text = file.read()
        tokens = tokenize(llama.lib, WHALE, text[:-1] if text.endswith(b"\n") else text, True, False)
        data = np.array(tokens, "<i4").tobytes()
        golden[name] = {"tokens": len(tokens), "sha256": hashlib.sha256(data).hexdigest()}
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "model.gguf")
        widen(path)
        chunks = [tokens[i * CHUNK : (i + 1) * CHUNK] for i in range(CHUNKS)]
        logits = llama.logits(path, chunks, 1024, CHUNK)
    loss, last = 0.0, []
    for chunk, rows in zip(chunks, logits):
        rows = rows.astype(np.float64)
        for i in range(CHUNK // 2, CHUNK - 1):
            row = rows[i]
            loss += np.log(np.exp(row - row.max()).sum()) + row.max() - row[chunk[i + 1]]
        last.append(rows[-2:])
    values = np.concatenate(last).astype("<f4")
    golden["loss"] = loss
    golden["logits"] = {"shape": list(values.shape), "base64": base64.b64encode(values.tobytes()).decode()}
    print(golden["calib"], golden["eval"], loss, np.exp(loss / (CHUNKS * 127)))
    with open(os.path.join(HERE, "whale.json"), "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
