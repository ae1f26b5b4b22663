"""Loads the folders written by bnb.test.ts and compares every linear layer with bitsandbytes' own result.

The argument is their parent folder: it contains `plain`, and `KIND-DOUBLE` for each kind. Prints how many layers of each were equal.
"""

import pathlib
import sys

import bitsandbytes as bnb
import torch
from transformers import AutoModelForCausalLM

place = pathlib.Path(sys.argv[1])
load = lambda name: AutoModelForCausalLM.from_pretrained(place / name, dtype="auto")
original = dict(load("plain").named_parameters())

for name in ["fp4-false", "fp4-true", "nf4-false", "nf4-true"]:
    kind, double = name.split("-")
    equal = 0
    model = load(name)
    for path, module in model.named_modules():
        if not isinstance(module, bnb.nn.Linear4bit):
            continue
        state = module.weight.quant_state
        weight = original[path + ".weight"].data
        packed, own = bnb.functional.quantize_4bit(
            weight, blocksize=64, compress_statistics=double == "true", quant_type=kind
        )
        assert torch.equal(packed.flatten(), module.weight.data.flatten()), path
        assert (state.dtype, state.shape, state.quant_type) == (weight.dtype, weight.shape, kind), path
        ours = bnb.functional.dequantize_4bit(module.weight.data, state)
        theirs = bnb.functional.dequantize_4bit(packed, own)
        # The offset of a second level is torch.mean, whose last bits depend on the machine.
        tolerance = 1e-6 if double == "true" else 0
        assert torch.allclose(ours.float(), theirs.float(), rtol=tolerance, atol=0), path
        equal += 1
    for path, parameter in model.named_parameters():
        assert parameter.dtype == torch.uint8 or torch.equal(parameter, original[path]), path
    print(name, equal)
