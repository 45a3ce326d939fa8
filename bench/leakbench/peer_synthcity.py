"""synthcity: its default privacy metrics and the membership attack DOMIAS with kernel densities. It ships no threshold.

Its loaders take numbers only; labels are given as codes, missing quantities as their median.
"""

from contextlib import suppress

import numpy as np
import pandas as pd
from synthcity.metrics import eval_privacy
from synthcity.plugins.core.dataloader import GenericDataLoader

from bench.leakbench.peer import Asked, Told, serve

HIGHER_IS_WORSE = {
    "delta-presence": (eval_privacy.DeltaPresence, 1),
    "k-anonymization": (eval_privacy.kAnonymization, -1),
    "k-map": (eval_privacy.kMap, -1),
    "distinct l-diversity": (eval_privacy.lDiversityDistinct, -1),
    "identifiability score": (eval_privacy.IdentifiabilityScore, 1),
}


def judge(asked: Asked) -> Told:
    """Every metric's default figure, those that are best when high with their sign turned."""
    learnt, held, twin = _coded(asked)
    measures = {}
    for name, (metric, sign) in HIGHER_IS_WORSE.items():
        measures[name] = sign * float(metric(use_cache=False).evaluate_default(learnt, twin))
    domias = eval_privacy.DomiasMIAKDE(use_cache=False)
    with suppress(np.linalg.LinAlgError, ValueError):  # it asks for columns of ten values and more, and for densities
        found = domias.evaluate(held, twin, learnt, twin, reference_size=len(asked.held) // 2)
        measures["DOMIAS, KDE"] = float(found["aucroc"])
    return Told(measures)


def _coded(asked: Asked) -> list[GenericDataLoader]:
    frames = [f.reset_index(drop=True) for f in (asked.learnt, asked.held, asked.twin)]
    out = [pd.DataFrame(index=f.index) for f in frames]
    for column in asked.learnt.columns:
        if column in asked.labels:
            names = pd.concat([f[column] for f in frames]).astype(str).unique()
            codes = {name: i for i, name in enumerate(sorted(names))}
            for coded, frame in zip(out, frames, strict=True):
                coded[column] = frame[column].astype(str).map(codes).astype(float)
        else:
            middle = float(asked.learnt[column].median())
            for coded, frame in zip(out, frames, strict=True):
                coded[column] = frame[column].fillna(middle)
    return [GenericDataLoader(frame, target_column=asked.secret) for frame in out]


if __name__ == "__main__":
    serve(judge)
