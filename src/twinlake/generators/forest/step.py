"""How one column of a forest is drawn."""

from dataclasses import dataclass

import numpy as np

from twinlake.generators.forest.bag import Bag
from twinlake.generators.states.alphabet import Codes


@dataclass(frozen=True, slots=True)
class Step:
    """How one column is drawn: by a bag, by looking up the state of another column, or as its only state."""

    target: int
    bag: Bag | None = None
    source: int | None = None
    table: Codes | None = None

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """A state for each row of `codes`, shape (rows,)."""
        if self.bag is not None:
            return self.bag.draw(codes, rng)
        if self.source is not None and self.table is not None:
            return self.table[codes[:, self.source]]
        return np.zeros(len(codes), np.int32)
