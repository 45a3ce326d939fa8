"""Attackers who know many games and how each ended: how well do they tell the end of one they have not seen?

Here signals and ends are plain arrays; what they mean is none of this module's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEWEST = 3  # games of either end; fewer tell nothing of how the ends differ
RIDGE = 1.0  # times the mean variance of the signals: how much a taught attacker trusts what all of them say together
TAUGHT = 1.4  # times the standard error of fixed scores: what an attacker was taught is a matter of chance too


@dataclass(frozen=True, slots=True)
class Answer:
    """An attacker's AUC on one target, or the mean of several.

    Attributes:
        who: the attacker, and on which target.
        auc: 0.5 is chance.
        sides: of each target, games of either end.
        spread: times Hanley and McNeil's standard error.
    """

    who: str
    auc: float
    sides: tuple[tuple[int, int], ...]
    spread: float = 1.0

    @classmethod
    def pooled(cls, who: str, answers: Sequence[Self]) -> Self:
        """The mean over targets, whose ends are independent of each other."""
        sides = tuple(s for a in answers for s in a.sides)
        return cls(who, float(np.mean([a.auc for a in answers])), sides, answers[0].spread)

    def error(self, auc: float | Floats) -> Floats:
        """The standard error where the true AUC is so high (Hanley and McNeil 1982)."""
        variance = np.sum([_variance(np.asarray(auc, np.float64), *s) for s in self.sides], axis=0)
        return np.asarray(self.spread * np.sqrt(variance) / len(self.sides))

    def bounds(self, z: float) -> tuple[float, float]:
        """The AUCs that are within `z` of their own standard errors of what was measured: Wilson's way, 1927."""
        grid = np.linspace(0, 1, 2_001)
        within = np.append(grid[np.abs(self.auc - grid) <= z * self.error(grid)], self.auc)
        return float(within.min()), float(within.max())


def quantile(answers: int, *, alpha: float = 0.05) -> float:
    """How many standard errors hold for so many answers at once (Bonferroni, the first step of Holm's), one-sided."""
    return NormalDist().inv_cdf(1 - alpha / answers)


def plain(who: str, signals: Floats, end: Mask) -> Answer:
    """Who adds up the signals, shape (games, signals): all of them are high for games that ended so. Learns nothing."""
    return Answer(who, _auc(_standard(signals).sum(axis=1), end), (_sides(end),))


def taught(who: str, signals: Floats, end: Mask, *, general: int) -> Answer:
    """Who learns what tells games apart; beside the signals it is given the sum of the first `general` ones.

    Each pair of games that ended differently is told apart by a ridge regression on all other games (leave-pair-out;
    Airola et al. 2011). Left out one by one, an attacker who knows nothing would score below 0.5. The answers to games
    that are left out have a closed form.
    """
    known = _standard(signals)
    advice = _standard(_standard(signals[:, :general]).sum(axis=1, keepdims=True)) * np.sqrt(max(known.shape[1], 1))
    return Answer(who, _left_out(np.hstack([known, advice]), end), (_sides(end),), TAUGHT)


def decided(end: Mask) -> bool:
    """Whether enough games ended either way."""
    return min(_sides(end)) >= FEWEST


def _left_out(known: Floats, end: Mask) -> float:
    truth, size = np.where(end, 1.0, -1.0), known.shape[1]
    if not size or not known.any():
        return 0.5
    gram = known.T @ known
    hat = 1 / len(truth) + known @ np.linalg.solve(gram + RIDGE * np.trace(gram) / size * np.eye(size), known.T)
    missed = truth - hat @ truth
    i, j = (a.ravel() for a in np.meshgrid(np.flatnonzero(end), np.flatnonzero(~end), indexing="ij"))
    p, q, r = 1 - hat[i, i], 1 - hat[j, j], -hat[i, j]
    errors = (q * missed[i] - r * missed[j], p * missed[j] - r * missed[i])
    ahead = 2 - (errors[0] - errors[1]) / (p * q - r * r)
    return float(np.mean((ahead > 1e-9) + 0.5 * (np.abs(ahead) <= 1e-9)))


def _auc(scores: Floats, end: Mask) -> float:
    ahead = scores[end][:, None] - scores[~end][None, :]
    return float(np.mean((ahead > 1e-9) + 0.5 * (np.abs(ahead) <= 1e-9)))


def _standard(signals: Floats) -> Floats:
    """Signals with mean 0 and variance 1; those that never vary are 0."""
    spread = signals.std(axis=0)
    return np.where(spread > 1e-9, (signals - signals.mean(axis=0)) / np.where(spread > 1e-9, spread, 1), 0.0)


def _sides(end: Mask) -> tuple[int, int]:
    return int(end.sum()), int((~end).sum())


def _variance(auc: Floats, ended: int, others: int) -> Floats:
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (ended - 1) * (first - auc**2) + (others - 1) * (second - auc**2)
    return np.maximum(spread, 0.0) / (ended * others)
