"""What few people wrote is not in a twin's text, however it is spelt; nor are names, addresses and keys."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from twinlake.hashing import mix
from twinlake.privacy.grams import grams
from twinlake.privacy.letters import Letters
from twinlake.privacy.replay import replay
from twinlake.schema import Column, Kind, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Verdict

ENDS = ("na", "ro", "ssi", "tle", "xu", "")
WORDS = [a + b for a in ("ba", "ke", "li", "mo", "nu", "pra", "sto", "ty") for b in ENDS]
NOTES = Table(
    "notes",
    (
        Column("code", pa.string(), nullable=False),
        Column("who", pa.string(), kind=Kind.PERSONAL, provider="full_name"),
        Column("mail", pa.string(), kind=Kind.PERSONAL, provider="email"),
        Column("note", pa.string(), kind=Kind.TEXT),
        Column("extra", pa.string(), kind=Kind.TEXT),
    ),
    key=("code",),
)
SCHEMA = Schema((NOTES,))
STAMP = "this letter was written by a machine and is valid without a signature"


def written(n: int, seed: int, *, names: str = "real") -> Tables:
    rng = np.random.default_rng(seed)
    prose = [" ".join(rng.choice(WORDS, rng.integers(20, 40))) for _ in range(n)]
    return Tables(SCHEMA, {"notes": pa.table({
        "code": [f"{names[0]}{i:03d}-{rng.integers(10**6):06d}" for i in range(n)],
        "who": [f"{names} person{''.join('abcdefghij'[int(c)] for c in f'{i:03d}')}" for i in range(n)],
        "mail": [f"{names}.{i}@mail.example" for i in range(n)],
        "note": prose,
        "extra": [STAMP if i % 5 == 0 else None for i in range(n)],
    })})  # fmt: skip


REAL, HOLDOUT, TWIN = written(400, 0), written(100, 1), written(400, 2, names="fake")


UNITS = mix(np.arange(400, dtype=np.uint64))


def replaced(tables: Tables, column: str, cells: list[str | None]) -> Tables:
    data = tables["notes"]
    at = data.column_names.index(column)
    return Tables(SCHEMA, {"notes": data.set_column(at, data.schema.field(column), pa.array(cells, pa.string()))})


def with_text(text: str, column: str = "note") -> Verdict:
    cells = TWIN["notes"][column].to_pylist()
    return replay(REAL, HOLDOUT, replaced(TWIN, column, [text, *cells[1:]]), "notes", units=UNITS)


def test_prose_of_the_same_words_passes() -> None:
    verdict = replay(REAL, HOLDOUT, TWIN, "notes", units=UNITS)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize("column", ["note", "extra"])
@pytest.mark.parametrize("change", [str, str.upper, lambda t: t.replace(" ", "-"), lambda t: t.replace(" ", ",  ")])
def test_eight_words_of_one_persons_text_are_a_violation_in_any_column_and_spelling(
    column: str, change: Callable[[str], str]
) -> None:
    copied = " ".join(REAL["notes"]["note"][7].as_py().split()[4:12])
    verdict = with_text("xx yy " + change(copied) + " zz", column)
    assert verdict.parts[f"8 words in a row that fewer than k units wrote: {column}"] == 1
    assert not any(word in verdict.reason for word in copied.split() if len(word) > 4)


def test_twenty_letters_are_a_violation_where_chance_does_not_bring_them_about() -> None:
    codes = [f"{i * 7919:06d}{'qwertzuiop'[i % 10]}xylophone{i * 104729 % 10**6:06d}" for i in range(400)]
    real = replaced(REAL, "note", codes)
    twin = replaced(TWIN, "extra", ["hum " + codes[9] + " di", *[None] * 399])  # its notes are of held-back words
    assert replay(real, HOLDOUT, twin, "notes", units=UNITS).passed
    verdict = replay(real, HOLDOUT, replaced(twin, "note", [None] * 400), "notes", units=UNITS)
    assert verdict.parts == {"20 letters in a row that fewer than k units wrote: extra": 1}


def test_what_many_wrote_may_be_written_again() -> None:
    assert with_text("hello. " + STAMP).passed


def test_text_of_one_unit_in_many_rows_is_rare() -> None:
    note = ["one and the same long complaint about the noise next door"] * 30 + REAL["notes"]["note"].to_pylist()[30:]
    units = mix(np.r_[np.zeros(30), np.arange(370) + 1].astype(np.uint64))
    twin = replaced(TWIN, "extra", ["the same long complaint about the noise next", *[None] * 399])
    verdict = replay(replaced(REAL, "note", note), HOLDOUT, twin, "notes", units=units)
    assert verdict.parts["8 words in a row that fewer than k units wrote: extra"] == 1


@pytest.mark.parametrize(
    "text",
    ["talked to Real Personaab today", "REAL-PERSONAAB.", "write to real.1@mail.example please", "Real 1 Mail Example"],
)
def test_a_personal_value_inside_text_is_a_violation(text: str) -> None:
    assert with_text(text).parts.get("personal value or key inside text: note") == 1


def test_a_key_inside_text_is_a_violation() -> None:
    code = REAL["notes"]["code"][5].as_py()
    verdict = with_text(f"see file {code.replace('-', ' ')}, page 2")
    assert verdict.parts == {"personal value or key inside text: note": 1}


def test_a_part_of_a_word_is_no_personal_value() -> None:
    assert with_text("unreal personaabs").passed


def test_grams_do_not_reach_from_one_text_into_the_next() -> None:
    letters = Letters.of(pa.array(["abcdef", None, "", "abcd", "ab"]))
    hashes, owners = letters.grams(4, by_word=False)
    assert owners.tolist() == [0, 0, 0, 3]
    assert hashes[3] == hashes[0]
    assert len(set(hashes.tolist())) == 3
    words = Letters.of(pa.array(["a b c", "b c", "x"])).grams(2, by_word=True)
    assert words[1].tolist() == [0, 0, 1]
    assert words[0][1] == words[0][2]


def test_grams_of_equal_runs_are_equal_wherever_they_stand() -> None:
    rng = np.random.default_rng(0)
    run = mix(rng.integers(0, 99, 50).astype(np.uint64))
    symbols = np.concatenate([mix(rng.integers(0, 99, 1000).astype(np.uint64)), run, run])
    hashes, _ = grams(symbols, np.zeros(len(symbols), np.intp), 50)
    assert hashes[1000] == hashes[1050]
    assert len(np.unique(hashes)) == len(hashes) - 1
