"""The 25 leaks, each in three doses from faint to plain; where a leak makes no sense on a table it says why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bench.leakbench import copies, fragments, generators
from bench.leakbench.sides import Planted, Sides, clean
from bench.leakbench.worlds import World

Plant = Callable[[World, Sides, float, float, np.random.Generator], Planted]


@dataclass(frozen=True, slots=True)
class Dose:
    """How much is planted.

    Attributes:
        label: for the page.
        amount: units, cells or a share, as the leak says; 0 plants nothing.
        how: what else the leak asks for.
        target: the power a gate must reach at no more than 5 % false alarms, None where none is asked for.
    """

    label: str
    amount: float
    how: float = 0.0
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """One way to leak.

    Attributes:
        name: as the command line and the page call it.
        plant: plants a dose.
        doses: three, the strongest last.
        snapshots: how many releases a case has.
        seen: whether a tool that reads nothing but the learnt columns of one release can notice.
        miss: whether every tool that goes by distance is expected to miss it.
    """

    name: str
    plant: Plant
    doses: tuple[Dose, ...]
    snapshots: int = 1
    seen: bool = True
    miss: bool = False

    def senseless(self, world: World) -> str:
        """Why it can't be planted into this table; "" where it can."""
        if self.name in ("extreme", "precise value") and not world.precise:
            return "no quantity is nearly unique"
        if self.name in ("sequence", "part of a sequence", "pairing") and not world.child:
            return "units have no ordered rows"
        return ""

    def none(self) -> Dose:
        """The dose that plants nothing."""
        return Dose("nothing", 0.0, self.doses[0].how)


def _units(*counts: int, target: float | None = None) -> tuple[Dose, ...]:
    return tuple(Dose(f"{n}", n, target=target) for n in counts)


def _shares(*shares: float, how: float = 0.0, target: float, last: int = 1) -> tuple[Dose, ...]:
    """Shares, of which the last ones have a target."""
    free = len(shares) - last
    return tuple(Dose(f"{s:.0%}", s, how, target if i >= free else None) for i, s in enumerate(shares))


CLEAN = Leak("clean", lambda _world, sides, _amount, _how, _rng: clean(sides), (Dose("nothing", 0.0),))
LEAKS: Mapping[str, Leak] = {
    leak.name: leak
    for leak in (
        Leak("copy", copies.copy, _units(1, 5, 20, target=0.95)),
        Leak("noisy copy", copies.noisy, (
            Dose("10 % noise × 10", 10, 0.10), Dose("2 % noise × 20", 20, 0.02, 0.9),
            Dose("10 % noise × 100", 100, 0.10, 0.9))),
        Leak("outlier", copies.outlier, (
            Dose("1", 1, 1, 0.95), Dose("5", 5, 1, 0.95), Dose("5, five times each", 5, 5, 0.95))),
        Leak("partial copy", copies.partial, (
            Dose("8/13 of the cells × all", 1_000, 8 / 13, 0.9), Dose("11/13 × 100", 100, 11 / 13, 0.9),
            Dose("11/13 × all", 1_000, 11 / 13, 0.9))),
        Leak("SMOTE", generators.smote, _shares(0.1, 0.3, 1.0, target=0.9, last=2)),
        Leak("CART", generators.cart, (
            Dose("leaf 50", 1, 50, 0.9), Dose("leaf 5", 1, 5, 0.9), Dose("leaf 1", 1, 1, 0.9))),
        Leak("nearest neighbours", generators.knn, _shares(0.1, 0.3, 1.0, how=5, target=0.9, last=2)),
        Leak("overfit", generators.overfit, _shares(0.1, 0.3, 1.0, how=0.10, target=0.9)),
        Leak("rare label", fragments.rare_label, _units(1, 3, 10, target=0.95)),
        Leak("extreme", fragments.extreme, _units(1, 2, 4, target=0.95)),
        Leak("precise value", fragments.precise, (Dose("10", 10), Dose("50", 50, 0, 0.9), Dose("250", 250, 0, 0.9))),
        Leak("secret", fragments.secret, _shares(0.33, 0.67, 1.0, target=0.9)),
        Leak("e-mail", fragments.email, _units(1, 3, 10, target=0.95), seen=False),
        Leak("e-mail changed", fragments.email_changed, _units(1, 3, 10, target=0.95), seen=False),
        Leak("e-mail in text", fragments.in_text, _units(1, 3, 10, target=0.95), seen=False),
        Leak("keys", fragments.keys, _units(1, 10, 1_000, target=0.95), seen=False),
        Leak("order of keys", fragments.key_order, _shares(0.25, 0.5, 1.0, target=0.9), seen=False),
        Leak("sequence", fragments.sequence, _units(1, 5, 20, target=0.95)),
        Leak("part of a sequence", fragments.part_of_sequence, (
            Dose("5", 5), Dose("20", 20, 0, 0.9), Dose("100", 100, 0, 0.9))),
        Leak("pairing", fragments.pairing, (
            Dose("5", 5, 0.1), Dose("20", 20, 0.1, 0.9), Dose("100", 100, 0.1, 0.9))),
        Leak("averaging over 12", copies.averaging, _shares(0.25, 0.5, 1.0, how=0.35, target=0.9), snapshots=12),
        Leak("differencing", copies.differencing, (
            Dose("1", 1, 0.02, 0.9), Dose("3", 3, 0.02, 0.9), Dose("10", 10, 0.02, 0.9)), snapshots=2),
        Leak("subgroup", copies.subgroup, _shares(0.33, 0.67, 1.0, how=0.05, target=0.9)),
        Leak("shadow", generators.shadow, _shares(0.25, 0.5, 1.0, target=0.9)),
        Leak("shifted encoding", copies.shifted, (
            Dose("20", 20, 0.5), Dose("100", 100, 0.5), Dose("all", 1_000, 0.5)), miss=True),
    )
}  # fmt: skip
