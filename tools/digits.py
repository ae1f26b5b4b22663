"""Packs scikit-learn's digits into src/bench/digits/digits.bin.

    pip download --no-deps --only-binary :all: scikit-learn==1.9.1
    python3 tools/digits.py scikit_learn-1.9.1-*.whl src/bench/digits/digits.bin

The data set is the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI, 1998), as
scikit-learn distributes it (sklearn/datasets/data/digits.csv.gz, BSD-3-Clause): 1797 lines of 64 pixels, 0 to 16, and
the digit. Layout of the output, little-endian, each run after its count in 64 bits (src/serialization.rs):

    "QPdg" 1    digits, a byte each    masks of the pixels that are not 0, 64 bits each
                values of those pixels minus one, four bits each, the first of a byte in its low nibble
"""

import gzip
import struct
import sys
import zipfile


def main(wheel, target):
    lines = gzip.decompress(zipfile.ZipFile(wheel).read("sklearn/datasets/data/digits.csv.gz")).decode().split()
    rows = [[int(float(field)) for field in line.split(",")] for line in lines]
    assert len(rows) == 1797 and all(len(row) == 65 and 0 <= min(row) and max(row[:64]) <= 16 for row in rows)
    labels = bytes(row[64] for row in rows)
    masks = [sum(1 << i for i, ink in enumerate(row[:64]) if ink) for row in rows]
    inks = [ink - 1 for row in rows for ink in row[:64] if ink]
    inks += [0] * (len(inks) % 2)
    nibbles = bytes(low | high << 4 for low, high in zip(inks[::2], inks[1::2]))
    with open(target, "wb") as out:
        out.write(b"QPdg\x01")
        out.write(struct.pack("<Q", len(labels)) + labels)
        out.write(struct.pack("<Q", len(masks)) + struct.pack(f"<{len(masks)}Q", *masks))
        out.write(struct.pack("<Q", len(nibbles)) + nibbles)


main(*sys.argv[1:])
