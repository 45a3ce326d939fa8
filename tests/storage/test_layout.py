import pytest
from lakes import project

from twinlake.errors import ProjectError
from twinlake.storage.layout import Layout, tag_of


def test_a_project_is_found_from_any_folder_inside_it(tmp_path):
    deep = project(tmp_path).data / "lake" / "clinic"
    deep.mkdir(parents=True)
    assert Layout.find(deep).root == tmp_path.resolve()


def test_no_project_is_a_sentence_that_says_how_to_start_one(tmp_path):
    with pytest.raises(ProjectError, match=r"no Twinlake project here .* twinlake init URL NAME"):
        Layout.find(tmp_path)


def test_no_name_leads_out_of_its_folder(tmp_path):
    layout = Layout(tmp_path)
    for name in ("../../etc", "a/b", ".hidden", "ü x", "."):
        assert layout.releases(name).parent == layout.lake
        assert not layout.releases(name).name.startswith(".")
        assert layout.own_vault(name).parent == layout.vault
        assert layout.suite_file("clinic", name).parent == layout.suites("clinic")


def test_only_the_owner_can_look_into_the_vault_and_staging(tmp_path):
    layout = Layout(tmp_path)
    with layout.scratch("clinic") as scratch:
        folders = [layout.vault, scratch, layout.staging("clinic", "s").parent, layout.data / "staging"]
        assert [oct(f.stat().st_mode & 0o777) for f in folders] == ["0o700"] * 4


def test_a_scratch_folder_goes_unless_it_was_moved_away(tmp_path):
    layout = Layout(tmp_path)
    with layout.scratch("clinic") as left:
        (left / "rows").touch()
    with layout.scratch("clinic") as moved:
        (moved / "rows").touch()
        moved.rename(layout.own_vault("clinic") / "kept")
    assert not left.exists()
    assert (layout.own_vault("clinic") / "kept" / "rows").exists()


def test_tags_quote_what_git_can_not_hold():
    assert tag_of("adult", "2026-11-22.2") == "adult@2026-11-22.2"
    assert tag_of("my shop: ü", "2026-11-22") == "my%20shop%3A%20%C3%BC@2026-11-22"
