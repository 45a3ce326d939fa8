import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.states.quantity import Quantity
from twinlake.random import stream


@pytest.mark.parametrize("few", [[254, 255], [255], [0, 1], [253, 255], [3, 4]], ids=str)
def test_few_values_at_the_end_of_a_type_are_stood_in_for_by_another(few):
    alphabet = Quantity.learn(pa.array([*few, *[None] * 30], pa.uint8()), None, k=10)
    assert len(alphabet.atoms) == 1
    assert not {min(few), max(few)} & set(alphabet.atoms)
    assert 0 <= alphabet.atoms[0] <= 255


def skewed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a few units with many rows close together, among many units with one row each."""
    rng = stream(seed, "skewed")
    heavy = np.repeat(rng.normal(0, 3, 30), rng.integers(20, 400, 30))
    values = np.r_[heavy + rng.normal(0, 1e-3, len(heavy)), rng.normal(0, 3, 800)]
    return values, np.r_[np.searchsorted(np.unique(heavy), heavy), 30 + np.arange(800)].astype(np.uint64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [None, 1, 3])
def test_every_bin_and_every_mean_stands_for_enough_units(seed, decimals):
    values, units = skewed(seed)
    values = values if decimals is None else np.round(values, decimals)
    alphabet = Quantity.learn(pa.array(values), units, k=10)
    codes = alphabet.encode(pa.array(values))
    for code in range(alphabet.size):
        assert len(np.unique(units[codes == code])) >= 10
    for heap in alphabet.bins.heaps:
        assert len(np.unique(units[values == (heap if decimals is None else heap / 10**decimals)])) >= 10


def test_values_of_full_precision_are_cut_into_a_thousand_bins():
    alphabet = Quantity.learn(pa.array(stream(0).normal(size=60_000)), None, k=10)
    assert alphabet.size == 1_024
    assert np.bincount(alphabet.encode(pa.array(stream(0).normal(size=60_000)))).min() >= 10


def test_heaps_are_drawn_as_often_as_they_were():
    rng = stream(0, "heaps")
    values = np.repeat(np.arange(2_000), rng.integers(10, 60, 2_000))
    alphabet = Quantity.learn(pa.array(values), None, k=10)
    codes = alphabet.encode(pa.array(values))
    drawn = sum(np.bincount(alphabet.decode(codes, rng).to_numpy(), minlength=2_000) for _ in range(20)) / 20
    real = np.bincount(values)
    assert np.abs((drawn - real) / np.sqrt(real / 20)).max() < 5


def test_the_order_of_rows_changes_nothing():
    values, units = skewed(0)
    other = stream(1).permutation(len(values))
    one = Quantity.learn(pa.array(values), units, k=10)
    two = Quantity.learn(pa.array(values[other]), units[other], k=10)
    assert one.atoms == two.atoms
    assert np.array_equal(one.bins.cuts, two.bins.cuts)
    assert np.array_equal(one.bins.knots, two.bins.knots)
