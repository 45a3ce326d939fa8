"""anonymeter: singling out by one and by several columns, linkability, inference, each with a control.

Its own verdict is read as: the 95 % interval of a risk lies above zero. It names no threshold itself.
"""

from collections.abc import Callable
from typing import Any

from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

from bench.leakbench.peer import Asked, Told, serve

ATTACKS = 300
COLUMNS = 4  # of a predicate of several columns


def judge(asked: Asked) -> Told:
    """Risks beyond the control's, and whether any interval leaves zero out."""
    known = asked.known()
    sides = {"ori": asked.learnt, "syn": asked.twin, "control": asked.held}
    single = {**sides, "n_attacks": ATTACKS, "seed": asked.seed}
    several = SinglingOutEvaluator(**single, n_cols=min(COLUMNS, len(known)))
    link = LinkabilityEvaluator(**sides, n_attacks=ATTACKS, aux_cols=(known[::2], known[1::2]))
    infer = InferenceEvaluator(**sides, aux_cols=known, secret=asked.secret, n_attacks=ATTACKS)
    risks = {
        "singling out, one column": _risk(lambda: SinglingOutEvaluator(**single).evaluate("univariate")),
        "singling out, several": _risk(lambda: several.evaluate("multivariate")),
        "linkability": _risk(lambda: link.evaluate(n_jobs=1)),
        "inference": _risk(lambda: infer.evaluate(n_jobs=1)),
    }
    told = {name: risk for name, risk in risks.items() if risk is not None}
    return Told({name: value for name, (value, _) in told.items()}, any(low > 0 for _, low in told.values()))


def _risk(evaluate: Callable[[], Any]) -> tuple[float, float] | None:
    """A risk, raw as far as it is shown, and the lower end of its interval; None where there were too few attacks."""
    try:
        evaluator = evaluate()
        results = evaluator.results(confidence_level=0.95)
        risk = evaluator.risk(confidence_level=0.95)
    except RuntimeError:
        return None
    # the risk itself is cut off at zero; what it is made of is not
    value = results.attack_rate.value - results.control_rate.value
    return float(value), float(risk.ci[0])


if __name__ == "__main__":
    serve(judge)
