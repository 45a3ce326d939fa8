"""Shuffles that need no memory: the place of one row in a shuffled order, from its number alone.

A balanced Feistel network over the smallest even number of bits that holds the domain, walked until it lands inside
(Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). For order, not for secrecy.
"""

import numpy as np
import numpy.typing as npt

from twinlake.hashing import Hashes, mix

_ROUNDS = 4


def permute(numbers: Hashes, size: int | Hashes, key: int | Hashes) -> Hashes:
    """Where each number below `size` goes in a shuffle of 0 … size-1 that `key` chooses.

    Args:
        numbers: shape (n,), each below its size.
        size: one domain for all, or one for each number; at most 2**62.
        key: one shuffle for all, or one for each number.
    """
    sizes = np.broadcast_to(np.asarray(size, dtype=np.uint64), numbers.shape)
    one = key & 0xFFFFFFFFFFFFFFFF if isinstance(key, int) else key
    keys = np.broadcast_to(np.asarray(one, dtype=np.uint64), numbers.shape)
    half = _half_bits(sizes)
    placed = _feistel(numbers, half, keys)
    while (outside := placed >= sizes).any():
        placed[outside] = _feistel(placed[outside], half[outside], keys[outside])
    return placed


def _half_bits(sizes: Hashes) -> Hashes:
    bits: npt.NDArray[np.int32] = np.frexp(np.maximum(sizes, 2).astype(np.float64))[1]  # size <= 2**bits
    return ((bits + 1) // 2).astype(np.uint64)


def _feistel(numbers: Hashes, half: Hashes, keys: Hashes) -> Hashes:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (mix(right ^ mix(keys + np.uint64(turn))) & mask)
    return (left << half) | right
