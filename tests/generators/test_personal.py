"""Fakes are plausible, nobody's real value, and as different as the real ones."""

import ipaddress
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinlake.errors import GeneratorError
from twinlake.generators.detection import _is_card, _is_iban
from twinlake.generators.personal import PROVIDERS, Filler, detect
from twinlake.generators.providers import check_locale
from twinlake.generators.spaces import keyed
from twinlake.random import stream
from twinlake.schema import Column, Kind
from twinlake.types import ENUM


def rows(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint64)


TEXT = pa.string()


def learnt(values: list, provider: str, type_: pa.DataType = TEXT, locale: str = "en") -> Filler:
    column = Column("c", type_, kind=Kind.PERSONAL, provider=provider)
    array = pa.chunked_array([pa.array(values, type_)])
    return Filler.learn(array, column, None, k=10, salt=1, locale=locale, where="t.c")


def filled(filler: Filler, n: int = 3000, seed: int = 2) -> pa.Array:
    turn = filler.turn(total=n, seed=seed, where="t.c")
    return filler.fill(rows(n), total=n, seed=seed, rng=stream(seed, "fill"), turn=turn)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fakes_of_a_column_whose_values_differ_all_differ(provider: str) -> None:
    made = filled(learnt([f"real {i}" for i in range(30)], provider))
    assert made.type == pa.string()
    assert pc.count_distinct(made).as_py() == 3000


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("unique", [True, False])
def test_a_fake_is_never_a_real_value(provider: str, unique: bool) -> None:
    first = filled(learnt(["x"], provider), 400).to_pylist()  # what it would make if nobody held it
    real = list(dict.fromkeys(first)) if unique else [*first, first[0]]
    assert set(filled(learnt(real, provider), 400).to_pylist()).isdisjoint(real)


def test_a_column_that_meets_a_real_value_is_made_anew_as_a_whole() -> None:
    asked = learnt(["x", "x"], "first_name")
    names = filled(asked, 50).to_pylist()
    real = [learnt([name, name], "first_name") for name in (names[3], names[7], names[3].upper() + " ")]
    turns = [filler.turn(total=50, seed=2, where="t.c") for filler in real]
    assert min(turns) > 0
    assert turns[0] == turns[2]
    again = [filler.at(rows(50), total=50, seed=2, turn=turn) for filler in real for turn in range(6)]
    as_if_nobody = [asked.at(rows(50), total=50, seed=2, turn=turn) for _ in real for turn in range(6)]
    assert all(
        a.equals(b) for a, b in zip(again, as_if_nobody, strict=True)
    )  # but for the turn, nothing depends on them


def test_where_all_names_are_real_ones_names_are_doubled() -> None:
    every = [str(n) for n in dict.fromkeys(filled(learnt(["x", "x"], "last_name"), 20_000).to_pylist())]
    made = filled(learnt([*every, every[0]], "last_name"), 500).to_pylist()
    assert all("-" in name for name in made)
    assert {name.split("-")[0] for name in made} & set(every)


def test_a_column_that_meets_real_values_in_every_way_is_refused() -> None:
    filler = learnt(["x", "x"], "first_name")
    every = [t for turn in range(6) for t in filler.at(rows(40), total=40, seed=2, turn=turn).to_pylist()]
    with pytest.raises(GeneratorError, match=r'each of 6 columns of fakes by the provider "first_name"') as raised:
        learnt([*every, every[0]], "first_name").turn(total=40, seed=2, where="t.c")
    assert not any(name in str(raised.value) for name in every)


def test_fakes_depend_on_the_row_alone() -> None:
    for real in (["a", "a"], ["P-0001", "P-0002"] * 30):
        filler = learnt(real, "pattern" if real[0] != "a" else "full_name")
        whole = filler.at(rows(500), total=500, seed=9, turn=4)
        assert filler.at(rows(500)[100:200], total=500, seed=9, turn=4).equals(whole.slice(100, 100))


def test_nulls_keep_their_share() -> None:
    made = filled(learnt(["a", None, "b", "a"], "first_name"))
    assert made.null_count / 3000 == pytest.approx(0.25, abs=0.03)


def test_unique_fakes_depend_on_the_row_alone() -> None:
    filler = learnt([f"a{i}@b.example" for i in range(50)], "email")
    whole = filler.at(rows(500), total=500, seed=9)
    assert filler.at(rows(500)[100:200], total=500, seed=9).equals(whole.slice(100, 100))


def test_locales_speak_their_language() -> None:
    german, english = (set(filled(learnt(["x"], "city", locale=x)).to_pylist()) for x in ("de", "en"))
    assert len(german & english) < 0.1 * len(german)
    with pytest.raises(GeneratorError, match='there is no locale "english"'):
        check_locale("english")


def test_mail_goes_to_reserved_names_only() -> None:
    made = filled(learnt([f"real{i}" for i in range(30)], "email")).to_pylist()
    assert all(m.split("@")[1] in ("example.com", "example.net", "example.org") for m in made)


def test_numbers_carry_their_check_digits() -> None:
    assert all(map(_is_card, filled(learnt(["x"], "credit_card"), 200).to_pylist()))
    for locale in ("en", "de", "fr", "de-ch", "es"):
        assert all(map(_is_iban, filled(learnt(["x"], "iban", locale=locale), 50).to_pylist()))
    assert all(ipaddress.ip_address(a).is_global for a in filled(learnt(["x"], "ip"), 200).to_pylist())


def test_a_pattern_follows_the_shapes_of_the_column() -> None:
    made = filled(learnt([f"P-{i * 1997:06d}" for i in range(500)], "pattern")).to_pylist()
    assert all(m.startswith("P-") and m[2:].isdigit() for m in made[:100])


def test_other_types_are_filled_where_they_can_be() -> None:
    numbers = filled(
        learnt([(6 + i % 3) * 100000000 + i * 7654321 % 100000000 for i in range(500)], "phone", pa.int32())
    )
    assert numbers.type == pa.int32()
    assert pc.min(numbers).as_py() >= 100_000_000  # nine digits, as the real ones
    assert filled(learnt(["a", "b", "a"], "city", ENUM)).type == ENUM
    plain = pa.array([b"0123456789abcdef"] * 2, pa.binary(16))
    column = Column("c", pa.uuid(), kind=Kind.PERSONAL, provider="uuid")
    ids = Filler.learn(pa.chunked_array([pa.ExtensionArray.from_storage(pa.uuid(), plain)]), column, None,
                       k=10, salt=1, locale="en", where="t.c")  # fmt: skip
    assert filled(ids, 10).type == pa.uuid()


def test_bad_requests_get_a_sentence() -> None:
    with pytest.raises(GeneratorError, match=r't\.c: there is no provider "fullname"; .* Did you mean "full_name"\?'):
        learnt(["a"], "fullname")
    with pytest.raises(GeneratorError, match=r't\.c: a column of type date can\'t be filled by the provider "city"'):
        learnt([None], "city", pa.date32())


def test_a_filler_survives_json() -> None:
    filler = learnt([f"P-{i:04d}" for i in range(50)], "pattern")
    again = Filler.from_json(json.loads(json.dumps(filler.to_json())), avoid=filler.avoid)
    assert filled(again).equals(filled(filler))


def test_hashes_need_the_key() -> None:
    values = pa.array(["Ada Real", "Bea Real"])
    assert not np.isin(keyed(values, 1)[1:], keyed(values, 2)[1:]).any()


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("email", "email"), ("E-Mail", "email"), ("customer_email", "email"), ("phoneNumber", "phone"),
        ("Telefon", "phone"),
        ("firstname", "first_name"), ("Vorname", "first_name"), ("prénom", "first_name"), ("apellidos", "last_name"),
        ("nameLast", "last_name"), ("billingAddress", "address"), ("address_line_2", "address"), ("ip_address", "ip"),
        ("IBAN", "iban"), ("SSN", "ssn"), ("zip_code", "postcode"), ("PLZ", "postcode"), ("Straße", "street"),
        ("card number", "credit_card"), ("passport_no", "pattern"), ("username", "username"),
        ("full name", "full_name"),
    ],
)  # fmt: skip
def test_names_of_personal_columns_are_found(name: str, provider: str) -> None:
    assert detect(name, None) == provider


@pytest.mark.parametrize(
    "name",
    ["hours-per-week", "native-country", "education", "ward", "order", "city", "country", "email_verified",
     "address_id",
     "phone_type", "ship_date", "name", "state", "title", "company", "mailing", "tailnum", "zip_count", "notes"],
)  # fmt: skip
def test_names_of_other_columns_are_not(name: str) -> None:
    assert detect(name, None) is None


def test_a_bare_name_is_personal_among_people() -> None:
    people = pa.array(["Ada Lovelace", "Grace Hopper", "Bea de Luca"])
    assert detect("name", people, table="customers") == "full_name"
    assert detect("name", people, table="airports") is None
    assert detect("nameFull", pa.array(["University of Bern", "Basel College"]), table="schools") is None


@pytest.mark.parametrize(
    ("values", "provider"),
    [
        (["ada@x.example", "bea@y.example"], "email"),
        (["+41 44 123 45 67", "(555) 123-4567"], "phone"),
        (["10.1.2.3", "2001:db8::1"], "ip"),
        (["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"], "iban"),
        (["4111 1111 1111 1111", "5500000000000004"], "credit_card"),
        (["https://x.example/a", "http://y.example"], "url"),
        (["123-45-6789", "321-54-9876"], "ssn"),
        (["this is a rather long remark about one person's life", "and here is another one that says a lot"], "text"),
        (["2024-01-01", "2024-02-02"], None),
        (["1234567890", "2345678901"], None),
        (["DE89 3704 0044 0532 0130 01"], None),
        (["4111 1111 1111 1112"], None),
        (["10.1", "3.2"], None),
    ],
)  # fmt: skip
def test_patterns_of_values_are_found_under_any_name(values: list[str], provider: str | None) -> None:
    assert detect("x", pa.array(values)) == provider


def test_numbers_are_personal_by_name_only() -> None:
    assert detect("phone", pa.array([41441234567])) == "phone"
    assert detect("first_name", pa.array([1, 2])) is None
    assert detect("email", pa.array([None, None], pa.string())) == "email"
    assert detect("amount", pa.array([1.5])) is None
