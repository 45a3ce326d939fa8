"""MOSTLY AI's quality assurance: identical matches, share of closer records, ratio of nearest distances.

They are taken from the functions that its report calls; charts and accuracies are left out. Its own verdict is read
from its documentation: the share of rows closer to learnt ones "should not be significantly larger than 50 %".
"""

import math

from mostlyai.qa import _distances, _sampling

from bench.leakbench.peer import Asked, Told, serve


def judge(asked: Asked) -> Told:
    """Shares and ratios as in its report, and a one-sided test of the share at 5 %."""
    embeds = _sampling.prepare_data_for_embeddings(
        syn_tgt_data=asked.twin, trn_tgt_data=asked.learnt, hol_tgt_data=asked.held
    )
    found = _distances.calculate_distances(syn_embeds=embeds[0], trn_embeds=embeds[1], hol_embeds=embeds[2])
    share = float(_distances.calculate_dcr_share(found["dcr_syn_trn"], found["dcr_syn_hol"]))
    learnt, held = (_distances.calculate_ims(found[f"dcr_syn_{side}"]) for side in ("trn", "hol"))
    ratio = _distances.calculate_nndr_ratio(found["nndr_syn_trn"], found["nndr_syn_hol"])
    measures = {
        "DCR share": share,
        "identical matches": float(learnt),
        "identical matches beyond the holdout's": float(learnt - held),
        "NNDR ratio": -float(ratio),
    }
    return Told(measures, share > 0.5 + 1.645 * 0.5 / math.sqrt(len(asked.twin)))


if __name__ == "__main__":
    serve(judge)
