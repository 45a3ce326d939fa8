import pyarrow as pa
import pytest

from twinlake.generators.states.quantity import Quantity


@pytest.mark.parametrize("few", [[254, 255], [255], [0, 1], [253, 255], [3, 4]], ids=str)
def test_few_values_at_the_end_of_a_type_are_stood_in_for_by_another(few):
    alphabet = Quantity.learn(pa.array([*few, *[None] * 30], pa.uint8()), None, k=10)
    assert len(alphabet.atoms) == 1
    assert not {min(few), max(few)} & set(alphabet.atoms)
    assert 0 <= alphabet.atoms[0] <= 255
