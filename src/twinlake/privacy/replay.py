"""Gate `replay`: no real row, rare or personal value, text or sequence in the twin. Absolute, but for chance."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from twinlake.hashing import Hashes
from twinlake.privacy.forbidden import Forbidden, coincidence, forbidden
from twinlake.privacy.judged import Judged, beyond_chance, judged
from twinlake.privacy.mentions import mentioned
from twinlake.privacy.sequences import copied_sequences
from twinlake.privacy.text import copied_text
from twinlake.schema import Table
from twinlake.tables import Tables
from twinlake.verdict import Verdict

GATE = "replay"


def replay(
    real: Tables,
    holdout: Tables,
    synthetic: Tables,
    name: str,
    *,
    units: Hashes | None,
    held_units: Hashes | None = None,
    k: int = 10,
) -> Verdict:
    """Violations of the rules below in table `name` of the twin; limit 0. `parts` count them by rule and column.

    Rows are compared over the learnt columns. *Rare* is what 1 to `k` - 1 learnt units hold. What was held back counts
    in rule b alone: labels are copied, so one that only held-back rows hold was seen; rows, fakes and keys are
    invented, and one that meets a held-back row met it by chance. *Beyond chance* means that of the real units that
    hold such a thing, learnt or held back, the twin meets more learnt ones than a random draw would: Fisher's exact
    test, p < 0.01, after Holm's correction over columns or views.

    a. Whole rows. In a rich table (fewer than 1 % of held-back rows coincide with a learnt row) no row equals a rare
       learnt row. In a coarse one rows coincide by nature: rows that one real unit alone holds are not met beyond
       chance.
    b. Labels. No value that is rare, or that no learnt unit and fewer than `k` held-back rows hold. Declared labels,
       truth values and public columns are exempt.
    c. Personal columns. No learnt value, however frequent and however spelt (see `spelling.plain`); nor inside the
       twin's free text, where it has eight letters or digits and two words or a digit, from any table.
    d. Keys of one column. No learnt value, of text however spelt, where the type has room for fresh ones: integers of
       32 bits and more, uuid, and text, bytes and decimals that could spell 100 times as many keys. Composite keys,
       and keys that refer to a public table, are exempt: their parts are natural. No key of text inside free text.
    e. Quantities. No value is the smallest or the largest learnt one where fewer than `k` units hold that. No learnt
       value of a column so precise that no two real units share one even at a thousandth of the precision. Elsewhere
       values that one real unit alone holds are not met a quarter more often, beyond chance. Public columns are exempt.
    f. Text. No 8 words and no 20 letters in a row that fewer than `k` real units wrote, in any text column. Where the
       twin meets such runs of more than 1 % of the held-back units too, they are held against those, beyond chance,
       and runs of twice the length are looked for, up to eight times.
    g. Rows of one parent. No 4 rows in a row that fewer than `k` real units hold, no four or more that are all of a
       parent's, and no 2 with what is learnt of the parent, whether over all columns, without any one of them, over a
       telling one alone or with the dates moved. Where chance can bring a quarter (of all: two) of these rows about,
       for two real units share it, they are held against the holdout and against what chance, counted at one to four
       rows and carried on, lets expect, and twice as many are looked for.

    For nobody's rows (`units` None) b and f count rows as units, c and d hold, a, e and g do not. Public tables pass.
    `baseline` is the number of rows that chance alone would make coincide with learnt ones.

    Args:
        real: the learnt rows.
        holdout: the rows held back, of other units.
        synthetic: the twin; read a batch at a time.
        name: the table.
        units: the unit of each learnt row, shape (rows,).
        held_units: of each row held back; None where each row is one.
        k: how many units make a value common.
    """
    table, rows = real.schema[name], synthetic.rows(name)
    if table.public:
        return _verdict(table, {}, n=rows, reason="public rows are carried over as they are", baseline=0.0)
    if not rows and real.rows(name):
        return Verdict.could_not_run(GATE, name, why="the twin has no rows")
    learnt, held = real[name], holdout[name]
    absolute = forbidden(learnt, held, real.schema, name, units=units, k=k)
    chance = [] if units is None else list(judged(learnt, held, table, units, held_units))
    parts = _stream(synthetic, name, absolute, chance)
    parts |= copied_text(learnt, held, synthetic, name, units=units, held=held_units, k=k)
    parts |= mentioned(real, synthetic, name)
    parts |= copied_sequences(real, holdout, synthetic, name, units=units, held=held_units, k=k)
    coincide = coincidence(learnt, held, table) if units is not None else 0.0
    return _verdict(table, parts, n=rows, reason=_reason(parts, rows, coincide), baseline=round(coincide * rows, 3))


def _stream(synthetic: Tables, name: str, absolute: tuple[Forbidden, ...], chance: list[Judged]) -> dict[str, float]:
    """Rows of the twin that break each absolute rule, and units that are hit beyond chance; the twin is read once."""
    hits = [0 for _ in absolute]
    seen = [np.zeros(len(rule.sides.rare), np.bool_) for rule in chance]
    for batch in synthetic.batches(name):
        data = pa.Table.from_batches([batch])
        hits = [n + int(rule.hits(data).sum()) for n, rule in zip(hits, absolute, strict=True)]
        for rule, found in zip(chance, seen, strict=True):
            rule.mark(data, found)
    return {f.part: float(n) for f, n in zip(absolute, hits, strict=True) if n} | beyond_chance(chance, seen)


def _reason(parts: Mapping[str, float], rows: int, coincide: float) -> str:
    if not parts:
        return f"none of {rows:,} rows holds a real record, a rare value or an exact extreme"
    worst = sorted(parts, key=lambda p: (-parts[p], p))[:3]
    shown = "; ".join(f"{p} ({parts[p]:,.0f})" for p in worst)
    more = f"; and {len(parts) - 3} more rules" if len(parts) > 3 else ""
    chance = coincide * rows
    by_chance = f"; chance alone would make about {chance:,.1f} rows coincide" if chance >= 0.1 else ""
    redraw = "The run of another date, or another seed, draws other rows"
    return f"the twin holds what only few real units hold: {shown}{more}{by_chance}. {redraw}"


def _verdict(table: Table, parts: Mapping[str, float], *, n: int, reason: str, baseline: float) -> Verdict:
    value = float(sum(parts.values()))
    return Verdict(
        gate=GATE, table=table.name, value=value, low=value, high=value, baseline=baseline, n=n, limit=0.0,
        bound="at_most", passed=value == 0, reason=reason, parts=dict(parts),
    )  # fmt: skip
