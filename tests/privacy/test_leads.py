"""What learnt units are ahead by."""

import numpy as np
import pytest

from twinlake.privacy.leads import Lead, lead

MEMBERS = np.arange(2_000) % 2 == 0


def test_the_lead_is_a_share_of_what_is_left_to_gain():
    right = np.where(MEMBERS, 0.6, 0.2)
    assert lead(right, np.zeros(2_000), MEMBERS, confidence=0.95).value == pytest.approx(0.5)


def test_what_is_known_of_a_unit_makes_the_interval_shorter_and_does_not_move_it():
    rng = np.random.default_rng(0)
    usual = rng.random(2_000)
    right = (rng.random(2_000) < usual).astype(float)
    told, untold = (lead(right, u, MEMBERS, confidence=0.95) for u in (usual, np.zeros(2_000)))
    assert told.high - told.value < 0.9 * (untold.high - untold.value)
    assert told.value == pytest.approx(untold.value, abs=0.05)


def test_the_upper_end_holds_as_often_as_it_says():
    rng = np.random.default_rng(1)
    below = sum(lead(rng.random(200), np.zeros(200), MEMBERS[:200], confidence=0.95).high < 0 for _ in range(400))
    assert 8 <= below <= 34


def test_how_many_units_would_tell():
    assert Lead(0.01, 0.06).needed(500, 0.05) == 782  # the interval has to be four fifths as long
    assert Lead(0.01, 0.02).needed(500, 0.05) == 500
    assert Lead(0.2, 0.3).needed(500, 0.05) == 2_000
