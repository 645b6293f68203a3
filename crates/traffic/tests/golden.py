#!/usr/bin/env python3
"""Writes golden.json beside this file: hashes by the reference implementation of XXH3.

    pip install xxhash==4.1.0 && python golden.py

Each line is (salt, unit, unit_id, seed of the salt, bucket); see src/hash.rs for how they are made.
"""

import json
import pathlib

import xxhash

LOW = (1 << 64) - 1
BUCKETS = 1_000_000

SALTS = ["", "fraud-2026q4", "Überprüfung", "x" * 300]
# XXH3 takes another branch for 0, 1-3, 4-8, 9-16, 17-128, 129-240 and more bytes, and for whole stripes and blocks.
UNITS = ["", "a", "abc", "user", "user-123", "user-1234", "0123456789abcdef", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
         "größe", "é" * 64, "x" * 128, "x" * 129, "y" * 240, "y" * 241, "z" * 1024, "z" * 1025, "w" * 5000]


def line(salt, unit):
    seed = xxhash.xxh3_128_intdigest(b"mainspring/traffic/1/split\0" + salt.encode()) & LOW
    place = xxhash.xxh3_128_intdigest(unit.encode(), seed=seed) & LOW
    return [salt, unit, xxhash.xxh3_128_intdigest(unit.encode()) & LOW, seed, place * BUCKETS >> 64]


lines = [line(salt, unit) for salt in SALTS for unit in UNITS]
text = "[\n" + ",\n".join(json.dumps(entry) for entry in lines) + "\n]\n"
(pathlib.Path(__file__).parent / "golden.json").write_text(text)
