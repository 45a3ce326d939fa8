"""Random streams by name. Every function that draws takes a `numpy.random.Generator` made here.

A stream is a pure function of a seed and a path of names, so a shard draws the same numbers wherever it runs.
"""

import hashlib

import numpy as np


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """The stream of `seed` at `path`, for example `stream(7, "sample", "people", 3)`."""
    return np.random.Generator(np.random.Philox(key=derive(seed, *path)))


def derive(seed: int, *path: str | int) -> int:
    """A 128-bit integer that depends on the seed and on every name of the path."""
    text = "\x1f".join([str(seed), *(f"{type(p).__name__}:{p}" for p in path)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def integer_seed(rng: np.random.Generator) -> int:
    """A 32-bit seed drawn from `rng`, for libraries that take an integer."""
    return int(rng.integers(0, 2**32))
