import json
import subprocess
import sys
from pathlib import Path

import pytest
from scenario import SCHEMA

from twinlake.errors import ProjectError
from twinlake.expectations._gx import check_suite
from twinlake.expectations.suite import Expectation, Suite, Weight, known_types, read_suite, write_suite

PEOPLE = SCHEMA["subjects"]
UNIQUE = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}


def written(folder: Path, *expectations: object) -> Path:
    file = folder / "clinic" / "subjects.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"name": "subjects", "expectations": expectations}, indent=2))
    return file


def refused(file: Path) -> list[str]:
    with pytest.raises(ProjectError) as caught:
        read_suite(file, PEOPLE)
    return [m.sentence for m in caught.value.mistakes]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    suite = Suite(
        "subjects",
        (
            Expectation(UNIQUE["type"], UNIQUE["kwargs"], Weight.WARNING, {"why": "ü"}, "a note", "said"),  # type: ignore[arg-type]
            Expectation("expect_table_row_count_to_be_between", {"min_value": 1}),
        ),
    )
    write_suite(tmp_path / "clinic" / "subjects.json", suite)
    assert read_suite(tmp_path / "clinic" / "subjects.json", PEOPLE) == suite


def test_a_suite_that_great_expectations_wrote_is_read(tmp_path: Path) -> None:
    import great_expectations as gx

    suite = gx.ExpectationSuite(name="subjects", expectations=[UNIQUE])
    (tmp_path / "subjects.json").write_text(json.dumps(suite.to_json_dict()))
    assert (
        str(read_suite(tmp_path / "subjects.json", PEOPLE).expectations[0]) == "expect_column_values_to_be_unique (id)"
    )


def test_every_mistake_is_named_with_its_line_and_the_nearest_word(tmp_path: Path) -> None:
    sentences = refused(
        written(
            tmp_path,
            {"type": "expect_column_values_to_be_uniqe", "kwargs": {"column": "id"}},
            {"type": UNIQUE["type"], "kwargs": {"column": "citi"}, "severity": "fatal"},
            {"kwargs": {}},
            {"type": "unexpected_rows_expectation", "kwargs": {}},
        )
    )
    assert sentences[0].startswith('clinic/subjects.json:5: unknown expectation "expect_column_values_to_be_uniqe"')
    assert 'id you mean "expect_column_values_to_be_unique"?' in sentences[0]
    assert sentences[1].startswith('clinic/subjects.json:15: unknown severity "fatal"; allowed are critical, warning')
    assert sentences[2].startswith('clinic/subjects.json:12: table subjects has no column "citi"')
    assert 'id you mean "city"?' in sentences[2]
    assert "this is no expectation" in sentences[3]
    assert "needs a database" in sentences[4]


def test_what_is_no_json_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_text('{"name": "x",\n "expectations": [}')
    assert refused(file)[0].startswith("clinic/subjects.json:2: this is no JSON")
    file.write_text("[]")
    assert "this is no suite" in refused(file)[0]
    file.unlink()
    assert "there is no such suite" in refused(file)[0]


def test_tabs_and_odd_characters_are_json_too(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_text('{\t"name": "x\x7f \\ud83d\\ude00",\n\t"expectations": [\t' + json.dumps(UNIQUE) + "]}")
    assert read_suite(file, PEOPLE).expectations[0].line == 2


def test_wrong_arguments_are_named_where_they_stand(tmp_path: Path) -> None:
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "bmi", "min_valu": 3}}
    suite = read_suite(written(tmp_path, UNIQUE, between), PEOPLE)
    with pytest.raises(ProjectError, match=r'clinic/subjects.json:10: .* has no argument "min_valu"') as caught:
        check_suite(suite)
    assert 'id you mean "min_value"?' in str(caught.value)


def test_types_are_known_without_importing_great_expectations() -> None:
    code = (
        "import sys; from twinlake.expectations.suite import known_types; from twinlake.expectations import gate;"
        "assert 'expect_column_values_to_be_unique' in known_types();"
        "assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_known_type_is_one_of_great_expectations() -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert set(known_types()) <= set(list_registered_expectation_implementations())
