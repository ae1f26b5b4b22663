"""Reduces the golden vectors of bitsandbytes and PyTorch to the parts that the tests need.

    python3 cut.py DIRECTORY_OF_THE_FULL_VECTORS

Blocks are independent, so whole blocks are taken from the front (or from the back for tensors that end within a block). Large inputs are
replaced by values derived from them: the absmax that double quantization starts from, the smallest and largest value of an observer's
batches.
"""

import array
import base64
import json
import pathlib
import sys

CODES = {"float32": "f", "uint8": "B", "int32": "i"}


def read(x):
    return array.array(CODES[x["dtype"]], base64.b64decode(x["base64"]))


def write(x, dtype="float32"):
    return {"dtype": dtype, "shape": [len(x)], "base64": base64.b64encode(x.tobytes()).decode()}


def four_bit(case):
    size, values = case["blocksize"], read(case["input"])
    if case["kind"] == "4bit":
        keep = slice(0, max(2048 if size == 64 else 4096, size))
        decoded = slice(0, 1024 if size == 64 else 512)
    else:
        keep = slice(max(0, (len(values) // size - 2) * size) if len(values) > 1000 else 0, None)
        decoded = keep
    absmax = slice(keep.start // size, None if keep.stop is None else -(-keep.stop // size))
    codes = slice(keep.start // 2, None if keep.stop is None else keep.stop // 2)
    return {
        "name": f"{case['quant_type']} {size} {case['data']}",
        "quant_type": case["quant_type"],
        "blocksize": size,
        "input": write(values[keep]),
        "codes": write(read(case["codes"])[codes], "uint8"),
        "absmax": write(read(case["absmax"])[absmax]),
        "decoded": write(read(case["decoded"])[decoded]),
    }


def double(case):
    size, values = case["blocksize"], read(case["input"])
    absmax = array.array("f", [max(map(abs, values[i : i + size])) for i in range(0, len(values), size)])
    return {
        "name": f"double {case['quant_type']} {size} {case['data']}",
        "quant_type": case["quant_type"],
        "blocksize": size,
        "absmax": write(absmax),
        "absmax_codes": case["absmax_codes"],
        "nested_absmax": case["nested_absmax"],
        "offset": case["offset"],
        "codes": write(read(case["codes"])[:512], "uint8"),
        "decoded": write(read(case["decoded"])[:1024]),
    }


def observer(case):
    if case["observer"] == "per_channel_min_max":
        return case
    batches = [read(batch) for batch in case["batches"]]
    return {k: v for k, v in case.items() if k != "batches"} | {
        "ranges": write(array.array("f", [x for batch in batches for x in (min(batch), max(batch))]))
    }


def main(source, target=pathlib.Path(__file__).parent):
    full = json.loads((source / "bitsandbytes.json").read_text())
    wanted = lambda c: c["blocksize"] == 64 or c["data"] == "spread"
    bitsandbytes = {key: full[key] for key in ("made_with", "seed", "nf4_table", "fp4_table", "dynamic_map")} | {
        "cases": [four_bit(c) for c in full["cases"] if c["kind"] != "4bit-double" and wanted(c)],
        "double": [double(c) for c in full["cases"] if c["kind"] == "4bit-double"],
    }
    full = json.loads((source / "torch.json").read_text())
    torch = {key: full[key] for key in ("made_with", "seed", "fake_quantize")} | {
        "observers": [observer(c) for c in full["observers"] if c["observer"] != "histogram_mse"]
    }
    for name, data in {"bitsandbytes": bitsandbytes, "torch": torch}.items():
        (target / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
