"""Two spellings of one value have one plain form; two values have two."""

import pyarrow as pa
import pytest

from twinlake.spelling import plain, words
from twinlake.types import ENUM


def spelt(*texts: object, provider: str | None = None, type_: pa.DataType | None = None) -> set[object]:
    return set(plain(pa.array(texts, type_ or pa.string()), provider).to_pylist())


def test_case_spaces_hyphens_dots_and_accents_are_left_out() -> None:
    assert spelt("Anna-Lena  MEIER", " anna lena meier ", "ánna.lena méier") == {"annalenameier"}
    assert spelt("\uff21\uff2e\uff2e\uff21", "anna") == {"anna"}  # full-width letters
    assert spelt("Groß", "GROSS") == {"gross"}
    assert words(pa.array(["It's  a\tTEST, no. 2!", None, "—"])).to_pylist() == ["it s a test no 2", None, ""]


@pytest.mark.parametrize(
    ("provider", "spellings"),
    [
        ("full_name", ("Anna-Lena Meier", "MEIER, Anna Lena", "meier anna-lena")),
        ("email", ("A.Meier@Example.com", "a.meier+news@example.com", "a meier (at) example [dot] com")),
        ("phone", ("+41 79 123 45 67", "0041791234567", "079/123.45.67", "(079) 1234567")),
        ("url", ("https://www.Meier.example/", "meier.example", "HTTP://meier.example")),
        ("iban", ("CH93 0076 2011 6238 5295 7", "ch9300762011623852957")),
    ],
)
def test_spellings_of_a_kind_of_value_are_one(provider: str, spellings: tuple[str, ...]) -> None:
    assert len(spelt(*spellings, provider=provider)) == 1


def test_values_that_differ_stay_apart() -> None:
    assert len(spelt("Anna Meier", "Anne Meier", "Anna Meyer", provider="full_name")) == 3
    assert len(spelt("a@x.example", "b@x.example", provider="email")) == 2
    assert len(spelt("079 123 45 67", "079 123 45 68", provider="phone")) == 2


def test_what_has_no_letter_or_digit_has_no_plain_form() -> None:
    assert spelt("—", "", None, "..") == {None}


def test_numbers_and_enums_are_read_as_text() -> None:
    assert spelt(41791234567, provider="phone", type_=pa.int64()) == {"791234567"}
    assert set(plain(pa.array(["A b"]).dictionary_encode().cast(ENUM)).to_pylist()) == {"ab"}
