import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from lakes import project, released
from scenario import clinic

from twinlake.errors import LakeError
from twinlake.storage.lake import query, reader
from twinlake.storage.release import find_release, releases


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """Three releases of the clinic, with 20, 30 and 40 subjects, and one of another pipeline."""
    layout = project(tmp_path_factory.mktemp("it's a lake"))
    for seed, (date, rows) in enumerate((("2026-11-20", 20), ("2026-11-22", 30), ("2026-11-22", 40))):
        released(layout, date, seed=seed, tables=clinic(rows, seed))
    released(layout, "2026-11-21", pipeline="other")
    return layout


def subjects(layout, at=None, schema="clinic"):
    return query(layout, f"SELECT count(*) AS n FROM {schema}.subjects", at=at).to_pylist()[0]["n"]


def test_releases_are_listed_oldest_first(layout):
    assert [r.id for r in releases(layout)] == [
        "clinic@2026-11-20", "clinic@2026-11-22", "clinic@2026-11-22.2", "other@2026-11-21",
    ]  # fmt: skip
    assert [r.name for r in releases(layout, "other")] == ["2026-11-21"]


def test_half_a_folder_is_no_release(layout):
    (layout.releases("clinic") / "2026-11-30" / "subjects").mkdir(parents=True, exist_ok=True)
    (layout.releases("clinic") / "2026-11-31x").mkdir(exist_ok=True)
    assert len(releases(layout, "clinic")) == 3
    assert subjects(layout) == 40


@pytest.mark.parametrize(("name", "at", "found"), [
    ("clinic", None, "2026-11-22.2"),
    ("clinic@2026-11-20", None, "2026-11-20"),
    ("clinic@2026-11-22", None, "2026-11-22"),
    ("clinic@2026-11-21", None, "2026-11-20"),
    ("clinic", "2026-12-24", "2026-11-22.2"),
    ("clinic", "2026-11-22.2", "2026-11-22.2"),
])  # fmt: skip
def test_a_release_is_found_by_name_or_by_date(layout, name, at, found):
    assert find_release(layout, name, at=at).name == found


@pytest.mark.parametrize(("name", "said"), [
    ("clinc", r'no pipeline "clinc" has a release; it serves clinic, other\. Did you mean "clinic"\?'),
    ("clinic@2026-11-19", r'has no release "2026-11-19"; there are 2026-11-22\.2, 2026-11-22, 2026-11-20\. Did you'),
    ("clinic@2026-11-22.3", r'Did you mean "2026-11-22\.2"\?'),
])  # fmt: skip
def test_a_release_that_is_not_there_names_the_nearest(layout, name, said):
    with pytest.raises(LakeError, match=said):
        find_release(layout, name)


def test_the_latest_release_is_served_by_default_and_any_other_by_name_or_date(layout):
    assert subjects(layout) == 40
    assert subjects(layout, "2026-11-22") == 30
    assert subjects(layout, "2026-11-21") == subjects(layout, "clinic@2026-11-21") == 20
    assert subjects(layout, schema='"clinic@2026-11-20"') == 20
    assert subjects(layout, "2026-11-20", schema='"clinic@2026-11-22"') == 30


def test_a_date_before_a_pipelines_first_release_does_not_show_a_later_one(layout):
    with pytest.raises(LakeError, match='no table "other'):
        subjects(layout, "2026-11-20", schema="other")
    assert subjects(layout, "clinic@2026-11-20", schema="other") == 20


def test_a_date_before_all_releases_is_a_sentence(layout):
    with pytest.raises(LakeError, match=r'no release "2026-01-01", nor any before it; .* from 2026-11-20 on'):
        subjects(layout, "2026-01-01")


def test_an_empty_lake_says_how_to_fill_it(tmp_path):
    empty = project(tmp_path)
    for ask in (lambda: query(empty, "SELECT 1"), lambda: find_release(empty, "clinic")):
        with pytest.raises(LakeError, match=r"holds no release yet\. Make one with: twinlake run clinic"):
            ask()


@pytest.mark.parametrize(("sql", "said"), [
    ("SELECT * FROM subjects", r'no table "subjects"; there are clinic.subjects, .* Did you mean clinic.subjects\?'),
    ("SELECT * FROM clinic.visit", r'no table "clinic.visit".* Did you mean "clinic.visits"\?|"visit"'),
    ("SELECT incom FROM clinic.subjects", r'"incom" not found in FROM clause; there are "income"'),
    ("SELEC 1", r"Parser Error: syntax error at or near"),
    ("", "no statement; ask one at a time"),
    ("SELECT 1; SELECT 2", "2 statements; ask one at a time"),
    ("SELECT CAST(city AS INT) FROM clinic.subjects", "Conversion Error"),
])  # fmt: skip
def test_wrong_sql_is_one_sentence(layout, sql, said):
    with pytest.raises(LakeError, match=said) as caught:
        query(layout, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sql", [
    "FROM clinic.wards", "DESCRIBE clinic.wards", "SUMMARIZE clinic.wards", "SHOW ALL TABLES", "VALUES (1)",
    "WITH w AS (FROM clinic.wards) SELECT * FROM w -- all", "PIVOT clinic.wards ON site IN (1, 2) USING sum(beds)",
    "FROM twinlake.releases;",
])  # fmt: skip
def test_whatever_reads_is_answered(layout, sql):
    assert query(layout, sql).num_rows > 0


@pytest.mark.parametrize("sql", [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_blob('{vault}/secret')",
    "SELECT * FROM '{vault}/rows.parquet'",
    "SELECT * FROM read_parquet('{vault}/rows.parquet')",
    "SELECT * FROM parquet_schema('{vault}/rows.parquet')",
    "SELECT * FROM read_text('{lake}/clinic/2026-11-20/manifest.json')",
    "SELECT * FROM read_parquet('{part}/../../../../../vault/rows.parquet')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM 'https://example.org/x.parquet'",
    "SELECT * FROM read_duckdb('/tmp/x.duckdb')",
    "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
    "COPY (SELECT 1) TO '/tmp/twinlake.csv'",
    "COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
    "WITH t AS (COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)) SELECT * FROM t",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
    "EXPLAIN ANALYZE WITH t AS (COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)) SELECT * FROM t",
    "EXPORT DATABASE '/tmp/twinlake'",
    "ATTACH '/tmp/twinlake.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CREATE TABLE memory.main.t AS SELECT 1",
    "INSERT INTO twinlake.lake VALUES ('x')",
    "DROP VIEW clinic.subjects",
    "CREATE SECRET s (TYPE s3)",
    "BEGIN",
])  # fmt: skip
def test_no_query_reads_a_file_or_changes_anything(layout, sql):
    rows = layout.vault / "rows.parquet"
    part = layout.release("clinic", "2026-11-20") / "subjects/part-00000.parquet"
    shutil.copyfile(part, rows)
    before = part.read_bytes()
    # everything that stands in a path between quotes has its own quotes doubled
    paths = {
        n: str(p).replace("'", "''") for n, p in {"vault": layout.vault, "lake": layout.lake, "part": part}.items()
    }
    with pytest.raises(LakeError) as caught:
        query(layout, sql.format(**paths))
    assert any(
        words in str(caught.value)
        for words in ("the lake is read-only", "and no file, folder or address", "the lake has no table", "Error")
    )
    assert "\n" not in str(caught.value)
    assert part.read_bytes() == before


def test_a_stream_holds_a_batch_at_a_time(layout):
    with reader(layout, "SELECT * FROM range(1_000_000)") as batches:
        sizes = [b.num_rows for b in batches]
    assert sum(sizes) == 1_000_000
    assert len(sizes) > 5


def test_an_error_in_the_middle_of_a_stream_is_a_sentence(layout):
    with (
        pytest.raises(LakeError, match="SQL: "),
        reader(
            layout, "SELECT CASE WHEN i = 900000 THEN error('found it') ELSE '' END FROM range(1000000) t(i)"
        ) as got,
    ):
        list(got)


def test_many_may_ask_at_once(layout):
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda at: subjects(layout, at), [None, "clinic@2026-11-20"] * 8)) == {20, 40}


def test_a_lake_that_can_not_be_written_to_is_still_read(layout, tmp_path):
    moved = type(layout)(tmp_path / "p")
    shutil.copytree(layout.root, moved.root)
    moved.catalog.unlink()
    (moved.lake / ".catalog.duckdb").mkdir()  # stands in for a read-only file system: root may write anywhere else
    assert subjects(moved) == 40
