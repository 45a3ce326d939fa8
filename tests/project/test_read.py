from pathlib import Path

import pytest

from twinlake.errors import ProjectError
from twinlake.project import Rows, json_schema, read_pipeline
from twinlake.schema import Orphans
from twinlake.tables import canonical
from twinlake.verdict import Severity

ROOT = Path(__file__).parent.parent.parent
GOOD = "source: files:x/*.parquet\ntables:\n  people: {key: id}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "clinic.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(ProjectError) as told:
        read_pipeline(written(folder, text))
    return str(told.value)


def test_a_short_file_is_enough(tmp_path):
    pipeline = read_pipeline(written(tmp_path, GOOD))
    assert pipeline.name == "clinic"
    assert pipeline.tables["people"].key == ("id",)
    assert pipeline.generator.name == "forest"


def test_every_mistake_is_told_in_one_go_each_at_its_line(tmp_path):
    text = GOOD + "generater: {name: forest}\nsnapshot: {rows: many, every: nightly}\nholdout: 2\n"
    told = mistakes(tmp_path, text).splitlines()
    assert [line.split(": ")[0] for line in told] == [f"clinic.yaml:{n}" for n in (4, 5, 5, 6)]
    assert 'unknown key "generater"' in told[0]
    assert 'Did you mean "generator"?' in told[0]


def test_a_key_inside_a_table_is_checked_too(tmp_path):
    told = mistakes(tmp_path, "source: x\ntables:\n  people:\n    keys: id\n")
    allowed = "key, references, orphans, order_by, public, generator, rules, unique, checks"
    assert told == f'clinic.yaml:4: unknown key "keys"; allowed are {allowed}. Did you mean "key"?'


def test_a_wrong_word_gets_the_nearest_right_one(tmp_path):
    told = mistakes(tmp_path, GOOD + "columns:\n  people.age: {kind: nummer}\n")
    assert told.startswith("clinic.yaml:5: kind: ")
    assert told.endswith('Did you mean "number"?')


def test_a_missing_key_is_named(tmp_path):
    assert 'key "source" is missing' in mistakes(tmp_path, "tables: {people: {}}\n")


def test_a_key_written_twice_is_told(tmp_path):
    assert mistakes(tmp_path, GOOD + "source: files:y\n") == 'clinic.yaml:4: key "source" is written twice.'


def test_what_is_no_yaml_is_told_with_its_line(tmp_path):
    assert mistakes(tmp_path, GOOD + "unit: [a\n").startswith("clinic.yaml:5: this is no YAML: ")


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_a_file_without_settings_is_told(tmp_path, text):
    assert "the file holds no settings" in mistakes(tmp_path, text)


def test_secrets_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINIC_PASSWORD", "hunter2")
    pipeline = read_pipeline(
        written(tmp_path, GOOD.replace("files:x/*.parquet", "postgresql://a:${CLINIC_PASSWORD}@db/c"))
    )
    assert pipeline.source.get_secret_value() == "postgresql://a:hunter2@db/c"
    assert "hunter2" not in repr(pipeline)
    assert "hunter2" not in canonical(pipeline.public_settings())


def test_a_variable_that_is_not_set_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.delenv("CLINIC_PASSWORD", raising=False)
    told = mistakes(tmp_path, GOOD.replace("files:x/*.parquet", "files:${CLINIC_PASSWORD}"))
    assert told.startswith("clinic.yaml:1: environment variable CLINIC_PASSWORD is not set.")


def test_a_unit_must_be_one_of_the_tables(tmp_path):
    told = mistakes(tmp_path, GOOD + "unit: peeple\n")
    assert told == 'clinic.yaml:4: unit "peeple" is not under tables:; it has people. Did you mean "people"?'


def test_a_pipeline_that_is_not_there_names_the_nearest(tmp_path):
    written(tmp_path, GOOD)
    with pytest.raises(ProjectError, match=r'there is no pipeline clinik; there are clinic\. Did you mean "clinic"'):
        read_pipeline(tmp_path / "clinik.yaml")


def test_a_limit_is_a_number_or_a_number_with_its_severity(tmp_path):
    text = GOOD + "gates: {fidelity: {column_shape: 0.9, pair_trend: {limit: 0.8, severity: warning}}}\n"
    gates = read_pipeline(written(tmp_path, text)).gates
    assert gates.fidelity.column_shape.limit == 0.9
    assert gates.fidelity.column_shape.severity is Severity.CRITICAL
    assert gates.fidelity.pair_trend.severity is Severity.WARNING


def test_one_seed_is_for_all_tables(tmp_path):
    told = mistakes(tmp_path, GOOD.replace("{key: id}", "{generator: {name: marginals, seed: 4711}}"))
    assert 'unknown key "seed"; allowed are name, settings' in told


def test_seeds_and_sources_are_no_public_settings(tmp_path):
    told = canonical(read_pipeline(written(tmp_path, GOOD + "generator: {seed: 1234}\n")).public_settings())
    assert "1234" not in told
    assert "files:" not in told


def test_a_remote_with_a_password_is_refused_for_manifests_tell_the_remote(tmp_path):
    told = mistakes(tmp_path, GOOD + "release: {remote: 'https://me:hunter2@host/lake'}\n")
    assert told.startswith("clinic.yaml:4: remote: holds a password, and manifests tell it; give it to DVC: dvc")
    assert "hunter2" not in told
    for remote in ("s3://bucket/lake", "ssh://me@host/lake", "local"):
        read_pipeline(written(tmp_path, GOOD + f"release: {{remote: '{remote}'}}\n"))


def test_the_editors_schema_is_up_to_date():
    assert (ROOT / "pipelines" / "pipeline.schema.json").read_text() == canonical(json_schema()) + "\n"


def test_the_shipped_pipelines_can_be_read():
    for file in (ROOT / "pipelines").glob("*.yaml"):
        read_pipeline(file)


@pytest.mark.parametrize(
    ("text", "rows", "scale"), [("1.0x", 200, 1.0), ("0.5x", 7, 0.5), (50, 200, 0.25), ("50", 100, 0.5)]
)
def test_rows_are_a_multiple_or_a_number(text, rows, scale):
    assert Rows.parse(text).scale(rows) == scale


@pytest.mark.parametrize("text", ["x", "0x", 0, "-3", "1.5", ""])
def test_other_rows_are_refused(text):
    with pytest.raises(ValueError, match="allowed is a multiple"):
        Rows.parse(text)


def test_orphans_are_handled_by_one_word_or_by_reference(tmp_path):
    def orphans(text: str) -> object:
        return (
            read_pipeline(written(tmp_path, GOOD.replace("{key: id}", f"{{key: id, orphans: {text}}}")))
            .tables["people"]
            .orphans
        )

    assert orphans("drop") is Orphans.DROP
    assert orphans("null") is orphans('"null"') is Orphans.NULL
    assert orphans('{tail: null, "a, b": keep}') == {"tail": Orphans.NULL, "a, b": Orphans.KEEP}


def test_an_unknown_way_to_handle_orphans_is_told_once_with_all_there_are(tmp_path):
    ways = "no way to handle orphans; allowed are 'refuse', 'drop', 'null' and 'keep'."
    for text, said in (
        ("dorp", f'"dorp" is {ways} Did you mean "drop"?'),
        ("{tail: dorp}", f'tail: "dorp" is {ways}'),
        ("[[drop]]", f"this is {ways}"),
    ):
        told = mistakes(tmp_path, GOOD.replace("{key: id}", f"{{key: id, orphans: {text}}}"))
        assert told == f"clinic.yaml:3: orphans: {said}"
    told = mistakes(tmp_path, GOOD.replace("{key: id}", '{key: id, orphans: {"a(b": drop}}'))
    assert 'reference "a(b" can\'t be read' in told
