"""Shapes of text say which kind of character stands where, and nothing about single values."""

import json
import uuid

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.masks import Masks
from twinlake.generators.permutations import permute
from twinlake.random import stream


def numbers(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint64)


def codes(n: int = 300) -> pa.Array:
    rng = stream(1, "codes")
    return pa.array([f"CUST-{rng.integers(1000, 10000)}{rng.choice(list('XYZ'))}" for _ in range(n)])


def test_a_shape_keeps_literals_and_the_prefix_that_all_share() -> None:
    masks = Masks.learn(codes(), None, 10)
    assert masks is not None
    assert all(t[:5] == "CUST-" and t[5:9].isdigit() and t[9].isupper() for t in masks.draw(50, stream(2)))


def test_a_shape_held_by_few_units_is_never_drawn() -> None:
    values = pa.concat_arrays([codes(), pa.array(["odd one out!"] * 50)])
    units = np.concatenate([numbers(300), np.full(50, 7, dtype=np.uint64)])
    masks = Masks.learn(values, units, 10)
    assert masks is not None
    assert not [t for t in masks.draw(2000, stream(3)) if "!" in t]


def test_no_shape_at_all_gives_none() -> None:
    assert Masks.learn(pa.array(["a", "bb", None]), None, 10) is None
    assert Masks.learn(pa.array([], pa.string()), None, 10) is None
    assert Masks.learn(pa.array([""] * 50), None, 10) is None


@pytest.mark.parametrize("make", [lambda r: str(uuid.UUID(bytes=r.bytes(16))), lambda r: r.bytes(8).hex().upper()])
def test_hexadecimal_text_stays_hexadecimal(make) -> None:
    rng = stream(4)
    masks = Masks.learn(pa.array([make(rng) for _ in range(400)]), None, 10)
    assert masks is not None
    for text in masks.draw(20, rng):
        int(text.replace("-", ""), 16)


def test_numbers_give_different_texts_over_the_whole_space() -> None:
    values = pa.array([f"{a}{b}" for a in "ABC" for b in range(10)] + [f"{a}{a}{b}" for a in "xyz" for b in range(10)])
    masks = Masks.learn(values, None, 10)
    assert masks is not None
    assert masks.space == 26 * 10 + 26 * 26 * 10
    texts = masks.at(numbers(masks.space))
    assert len(set(texts)) == masks.space


def test_shapes_keep_their_shares_among_numbered_texts() -> None:
    values = pa.array([f"{i:05d}" for i in range(900)] + [f"X{i:05d}" for i in range(100)])
    masks = Masks.learn(values, None, 10)
    assert masks is not None
    texts = masks.at(numbers(500))
    assert 30 <= sum(t.startswith("X") for t in texts) <= 70


def test_a_space_beyond_64_bits_still_gives_different_texts() -> None:
    rng = stream(5)
    masks = Masks.learn(pa.array([rng.bytes(32).hex() for _ in range(100)]), None, 10)
    assert masks is not None
    texts = masks.at(numbers(5000))
    assert len(set(texts)) == 5000
    assert len({t[0] for t in texts}) > 10


def test_masks_survive_json() -> None:
    masks = Masks.learn(codes(), None, 10)
    assert masks is not None
    again = Masks.from_json(json.loads(json.dumps(masks.to_json())))
    assert again.at(numbers(40)) == masks.at(numbers(40))
    assert again.draw(40, stream(6)) == masks.draw(40, stream(6))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 4096, 4097])
def test_a_permutation_hits_every_place_once(size: int) -> None:
    assert sorted(permute(numbers(size), size, key=9)) == list(range(size))


def test_each_number_may_have_its_own_domain() -> None:
    sizes = np.repeat(np.array([5, 90], dtype=np.uint64), [5, 90])
    within = np.concatenate([numbers(5), numbers(90)])
    placed = permute(within, sizes, key=mixed(sizes))
    assert sorted(placed[:5]) == list(range(5))
    assert sorted(placed[5:]) == list(range(90))


def mixed(sizes: np.ndarray) -> np.ndarray:
    return sizes * np.uint64(0x9E3779B97F4A7C15)
