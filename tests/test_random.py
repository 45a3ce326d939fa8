import numpy as np

from twinlake.random import derive, stream


def test_the_same_path_gives_the_same_numbers():
    assert np.array_equal(stream(7, "a", 1).random(5), stream(7, "a", 1).random(5))


def test_paths_that_look_alike_differ():
    assert len({derive(1, "a", 1), derive(1, "a", "1"), derive(1, "a1"), derive(11, "a"), derive(1, 1, "a")}) == 5
