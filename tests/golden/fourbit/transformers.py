"""Writes transformers.json: a small model, and the files that transformers saves for it, quantized by bitsandbytes.

pip install torch==2.15.0 transformers==5.24.0 bitsandbytes==0.50.2 accelerate; python transformers.py
"""

import base64, json, pathlib, sys, tempfile

sys.path.pop(0)  # this file has the name of the library
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

torch.manual_seed(20261128)
config = LlamaConfig(
    vocab_size=8, hidden_size=32, intermediate_size=41, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=False,
)


def files(folder):
    read = lambda name: (folder / name).read_bytes()
    return {"config": read("config.json").decode(), "safetensors": base64.b64encode(read("model.safetensors")).decode()}


with tempfile.TemporaryDirectory() as place:
    plain = pathlib.Path(place) / "plain"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(plain)
    golden = {"plain": files(plain)}
    for kind, double in [("nf4", True), ("fp4", False)]:
        options = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=double,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=options, dtype="auto")
        folder = pathlib.Path(place) / kind
        model.save_pretrained(folder)
        golden[kind] = files(folder)

path = pathlib.Path(__file__).with_name("transformers.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
