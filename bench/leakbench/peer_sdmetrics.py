"""SDMetrics: exact matches and its three privacy metrics. It ships no threshold, so it gives no verdict."""

import pandas as pd
from sdmetrics.single_table import NewRowSynthesis
from sdmetrics.single_table.privacy import DCRBaselineProtection, DisclosureProtection
from sdmetrics.single_table.privacy.dcr_overfitting_protection import DCROverfittingProtection

from bench.leakbench.peer import Asked, Told, serve

ROWS = 500  # that distances are taken from and to: the cross join of 1,000 rows with 1,000 takes four times as long


def judge(asked: Asked) -> Told:
    """Every score is best at 1; told is what is missing to it."""
    about = {"columns": {
        c: {"sdtype": "categorical" if c in asked.labels else "numerical"} for c in asked.learnt.columns
    }}  # fmt: skip
    learnt, twin = {"rows": asked.learnt}, {"rows": asked.twin}
    metadata = {"tables": {"rows": about}}
    few = {"num_rows_subsample": min(ROWS, len(asked.twin)), "num_iterations": 1}
    closest = DCRBaselineProtection.compute_breakdown(learnt, twin, metadata, "rows", **few)
    overfit = DCROverfittingProtection.compute_breakdown(learnt, twin, asked.held, metadata, "rows", **few)
    return Told({
        "NewRowSynthesis": 1 - NewRowSynthesis.compute(learnt, twin, metadata, "rows"),
        "DCRBaselineProtection": 1 - closest["score"],
        "DCROverfittingProtection": overfit["synthetic_data_percentages"]["closer_to_training"],
        "DisclosureProtection": 1 - _disclosure(asked, asked.learnt, asked.twin),
    })  # fmt: skip


def _disclosure(asked: Asked, learnt: pd.DataFrame, twin: pd.DataFrame) -> float:
    return float(DisclosureProtection.compute(
        learnt, twin, known_column_names=asked.known(), sensitive_column_names=[asked.secret],
        continuous_column_names=[c for c in learnt.columns if c not in asked.labels],
    ))  # fmt: skip


if __name__ == "__main__":
    serve(judge)
