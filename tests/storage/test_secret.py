from concurrent.futures import ThreadPoolExecutor

import pytest

from twinlake.errors import LakeError
from twinlake.storage.layout import Layout
from twinlake.storage.secret import keyed, seed_of, vault_secret


def test_the_secret_is_made_once_for_its_owner_only(tmp_path):
    layout = Layout(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: vault_secret(layout), range(32)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32
    assert [p.name for p in layout.vault.iterdir()] == ["secret"]
    assert layout.secret_file.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    layout = Layout(tmp_path)
    vault_secret(layout)
    layout.secret_file.chmod(0o644)
    with pytest.raises(LakeError, match=r"can be read by others\. Run: chmod 600"):
        vault_secret(layout)


def test_a_damaged_secret_is_refused(tmp_path):
    layout = Layout(tmp_path)
    vault_secret(layout)
    layout.secret_file.write_bytes(b"short")
    with pytest.raises(LakeError, match="has 5 bytes; it has 32"):
        vault_secret(layout)


def test_hashes_and_seeds_depend_on_the_secret_and_on_every_name():
    one, two = bytes(32), bytes(31) + b"\x01"
    assert keyed(one, "x") != keyed(two, "x")
    seeds = {seed_of(one, "a", 1), seed_of(two, "a", 1), seed_of(one, "a", "1"), seed_of(one, "a"), seed_of(one, "a1")}
    assert len(seeds) == 5
    assert seed_of(one, "a", 1) == seed_of(one, "a", 1) < 2**128
