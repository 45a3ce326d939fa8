"""Each leak of LeakBench plants what it says, and nothing at dose zero."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.leakbench import calibration, oracle, worlds
from bench.leakbench.catalogue import CLEAN, LEAKS
from bench.leakbench.closeness import encoded, nearest, outliers
from bench.leakbench.fragments import RARE
from bench.leakbench.sides import AT, Planted, Side, Sides
from bench.leakbench.worlds import EMAIL, KEY, NOTE, WORLDS, World
from twinlake.privacy.copying import SHARES
from twinlake.random import stream

UNITS = 150
PAIRS = [  # the coarse table is the rich one in other values
    (w, leak) for w in ("rich", "relational") for leak in LEAKS if not LEAKS[leak].senseless(WORLDS[w])
]


def population(name: str) -> Side:
    """Made-up units in the columns of a world."""
    rng, count, world = stream(0, name), 1_200, WORLDS[name]
    root: dict[str, object] = {KEY: 1_000_000_000 + 7 * np.arange(count)}
    root |= {c: rng.choice(["a", "b", "c"], count, p=[0.5, 0.3, 0.2]) for c in world.labels}
    column, label = world.minority
    root[column] = np.where(rng.random(count) < 0.05, label, "usual")
    for c in world.quantities():
        if c in world.precise:
            root[c] = (
                np.round(rng.normal(0, 1e6, count)).astype("int64") if name == "rich" else rng.normal(25, 4, count)
            )
        else:
            root[c] = pd.array(rng.integers(0, 5, count), dtype="Int64")
    root |= {EMAIL: worlds._emails(count, rng), NOTE: worlds._notes(count, rng)}
    if not world.child:
        return Side(pd.DataFrame(root))
    sizes = rng.integers(4, 9, count)
    rows = int(sizes.sum())
    child = pd.DataFrame({
        "row_id": 5_000_000_000 + np.arange(rows), AT: np.repeat(np.arange(count), sizes),
        "days": pd.array(rng.integers(0, 5_000, rows), dtype="Int64"), "test": rng.choice(["x", "y"], rows),
        "value": np.round(rng.normal(50, 9, rows), 1),
    })  # fmt: skip
    return Side(pd.DataFrame(root), child.sort_values([AT, "days"]).reset_index(drop=True))


@pytest.fixture(autouse=True, scope="module")
def made_up() -> Iterator[None]:
    """The worlds without their files."""
    known, patch = {name: population(name) for name in WORLDS}, pytest.MonkeyPatch()
    patch.setattr(worlds, "_population", lambda name, _folder: known[name])
    yield
    patch.undo()


def sides(world: World, leak: str, seed: int = 0) -> Sides:
    return world.draw(seed, units=UNITS, snapshots=(LEAKS | {CLEAN.name: CLEAN})[leak].snapshots)


def planted(world: World, leak: str, dose: int) -> Planted:
    """Dose 1 to 3, or 0."""
    found = LEAKS[leak]
    chosen = found.doses[dose - 1] if dose else found.none()
    return found.plant(world, sides(world, leak), chosen.amount, chosen.how, stream(1, leak))


def row_set(world: World, side: Side) -> pd.Series:
    """Learnt columns of each unit as one value."""
    return side.root[list(world.columns())].astype(str).agg("|".join, axis=1)


def sequences(side: Side) -> set[tuple[object, ...]]:
    assert side.child is not None
    rows = side.child[["days", "test", "value"]].astype(str).agg("|".join, axis=1)
    return {tuple(run) for _, run in rows.groupby(side.child[AT].to_numpy())}


def changed(before: Side, after: Side) -> int:
    """Units of which anything differs."""
    columns = list(before.root.columns)
    differ = ~(before.root[columns].eq(after.root[columns]) | before.root[columns].isna()).fillna(False).all(
        axis=1
    ).to_numpy(bool)
    if before.child is not None and after.child is not None:
        told = []
        for side in (before, after):
            names = side.child.columns.drop(AT)
            rows = pd.util.hash_pandas_object(side.child[names], index=False)
            told.append(rows.groupby(side.child[AT].to_numpy()).sum())
        differ |= (told[0] != told[1]).to_numpy()
    return int(differ.sum())


def test_the_sides_are_disjoint_samples_of_whole_units() -> None:
    for world in WORLDS.values():
        drawn = sides(world, "clean")
        emails = [set(s.root[EMAIL]) for s in (drawn.learnt, drawn.held, drawn.fresh[0])]
        assert [len(e) for e in emails] == [UNITS] * 3
        assert not (emails[0] & emails[1] | emails[0] & emails[2] | emails[1] & emails[2])
        assert not set(drawn.fresh[0].root[KEY]) & set(drawn.learnt.root[KEY])


def test_the_same_seed_draws_the_same_sides_and_another_one_others() -> None:
    world = WORLDS["relational"]
    one, same, other = (sides(world, "clean", seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one.fresh[0].root, same.fresh[0].root)
    assert one.learnt.child is not None
    pd.testing.assert_frame_equal(one.learnt.child, same.learnt.child)
    assert set(one.learnt.root[EMAIL]) != set(other.learnt.root[EMAIL])


def test_there_are_25_leaks_of_three_doses() -> None:
    assert len(LEAKS) == 25
    assert all(len(leak.doses) == 3 for leak in LEAKS.values())


@pytest.mark.parametrize(("world", "leak"), PAIRS)
def test_dose_zero_plants_nothing(world: str, leak: str) -> None:
    told, before = planted(WORLDS[world], leak, 0), sides(WORLDS[world], leak)
    if leak == "shadow":  # its twin is not real rows but columns of them
        assert not set(row_set(WORLDS[world], told.twin)) & set(row_set(WORLDS[world], told.learnt))
        return
    assert len(told.snapshots) == LEAKS[leak].snapshots
    assert [changed(a, b) for a, b in zip(before.fresh, told.snapshots, strict=True)] == [0] * len(before.fresh)


@pytest.mark.parametrize(("world", "leak"), PAIRS)
def test_every_dose_changes_the_twin_and_keeps_its_form(world: str, leak: str) -> None:
    before = sides(WORLDS[world], leak)
    counts = []
    for dose in (1, 2, 3):
        told = planted(WORLDS[world], leak, dose)
        tables = WORLDS[world].tables(told.twin)  # conforms to the schema
        assert tables.rows(WORLDS[world].root) == UNITS
        assert list(WORLDS[world].frame(told.twin).columns) == list(WORLDS[world].frame(before.fresh[-1]).columns)
        counts.append(changed(before.fresh[-1], told.twin))
    assert all(counts)
    assert counts[0] <= counts[-1]


@pytest.mark.parametrize("name", ["rich", "relational"])
def test_copies_equal_learnt_rows_and_keep_the_twins_keys(name: str) -> None:
    world = WORLDS[name]
    told = planted(world, "copy", 3)
    same = row_set(world, told.twin).isin(row_set(world, told.learnt))
    assert int(same.sum()) == 20
    assert not set(told.twin.root[KEY]) & set(told.learnt.root[KEY])
    assert not set(told.twin.root[EMAIL]) & set(told.learnt.root[EMAIL])
    if world.child:
        assert len(sequences(told.twin) & sequences(told.learnt)) == 20


def test_noisy_copies_equal_none_but_are_near() -> None:
    world = WORLDS["rich"]
    told = planted(world, "noisy copy", 2)
    assert not set(row_set(world, told.twin)) & set(row_set(world, told.learnt))
    known = told.learnt.root["bill_1"].to_numpy(float)
    off = np.abs(told.twin.root["bill_1"].to_numpy(float)[:, None] - known).min(axis=1)
    assert int((off < 0.1 * known.std()).sum()) >= 20


def test_the_memorised_outlier_is_the_loneliest_learnt_unit() -> None:
    world = WORLDS["rich"]
    told = planted(world, "outlier", 1)
    odd = told.learnt.take(outliers(world, told.learnt, told.held, 1))
    assert int(row_set(world, told.twin).isin(row_set(world, odd)).sum()) == 1
    five = planted(world, "outlier", 3)
    assert int(row_set(world, five.twin).isin(row_set(world, five.learnt)).sum()) == 25


def test_partial_copies_hold_so_many_cells_of_one_learnt_unit() -> None:
    world = WORLDS["rich"]
    told = planted(world, "partial copy", 2)
    learnt, twin = (s.root[list(world.columns())].astype(str).to_numpy() for s in (told.learnt, told.twin))
    shared = np.array([(learnt == row).sum(axis=1).max() for row in twin])
    assert int((shared >= 11).sum()) >= 100


@pytest.mark.parametrize("leak", ["SMOTE", "nearest neighbours", "CART", "overfit"])
def test_generators_come_nearer_to_learnt_than_to_held_back_units(leak: str) -> None:
    world = WORLDS["rich"]
    told = planted(world, leak, 3)
    twin, learnt, held = encoded(world, told.twin, told.learnt, told.held)
    nearer = nearest(twin, learnt, 1)[1] < nearest(twin, held, 1)[1]
    assert nearer.mean() > 0.6


def test_cart_replays_learnt_values_only() -> None:
    world = WORLDS["rich"]
    told = planted(world, "CART", 1)
    for column in world.columns():
        assert set(told.twin.root[column]) <= set(told.learnt.root[column])


def test_a_rare_label_is_held_by_one_learnt_unit_and_so_many_twins() -> None:
    for dose, count in ((1, 1), (2, 3), (3, 10)):
        told = planted(WORLDS["coarse"], "rare label", dose)
        holders = [int((s.root == RARE).to_numpy().sum()) for s in (told.learnt, told.held, told.twin)]
        assert holders == [1, 0, count]


def test_extremes_are_those_of_learnt_units() -> None:
    world = WORLDS["rich"]
    told, before = planted(world, "extreme", 3), sides(world, "extreme")
    found = 0
    for column in world.precise:
        ends = {told.learnt.root[column].max(), told.learnt.root[column].min()}
        found += len(ends & set(told.twin.root[column])) - len(ends & set(before.fresh[0].root[column]))
    assert found == 4


def test_precise_values_are_learnt_ones_in_fresh_rows() -> None:
    world = WORLDS["rich"]
    told = planted(world, "precise value", 2)
    hits = sum(int(told.twin.root[c].isin(told.learnt.root[c]).sum()) for c in world.precise)
    assert hits == 50


def test_the_secret_is_that_of_the_learnt_unit_most_alike_and_nothing_else_changes() -> None:
    world = WORLDS["rich"]
    told, before = planted(world, "secret", 3), sides(world, "secret")
    others = [c for c in world.columns() if c != world.secret]
    pd.testing.assert_frame_equal(told.twin.root[others], before.fresh[0].root[others])
    twin, learnt = encoded(world, *(Side(s.root.assign(**{world.secret: ""})) for s in (told.twin, told.learnt)))
    donors = nearest(twin, learnt, 1)[0][:, 0]
    assert (told.twin.root[world.secret].to_numpy() == told.learnt.root[world.secret].to_numpy()[donors]).all()


def test_emails_are_learnt_ones_plain_or_changed() -> None:
    world = WORLDS["coarse"]
    assert len(set(planted(world, "e-mail", 3).twin.root[EMAIL]) & set(sides(world, "e-mail").learnt.root[EMAIL])) == 10
    told = planted(world, "e-mail changed", 3)
    known = {t.lower().replace("-", "") for t in told.learnt.root[EMAIL]}
    plain = [t.lower().replace("-", "").replace(" ", "") for t in told.twin.root[EMAIL]]
    spaced = [t for t in plain if t in known]
    assert len(spaced) == 10
    assert not set(told.twin.root[EMAIL]) & set(told.learnt.root[EMAIL])


def test_text_holds_an_address_or_eight_learnt_words() -> None:
    told = planted(WORLDS["rich"], "e-mail in text", 3)
    known = set(told.learnt.root[EMAIL])
    runs = {tuple(w[i : i + 8]) for w in (t.split() for t in told.learnt.root[NOTE]) for i in range(9)}
    notes = [t.split() for t in told.twin.root[NOTE]]
    assert sum(bool(known & set(words)) for words in notes) == 5
    assert sum(any(tuple(w[i : i + 8]) in runs for i in range(len(w) - 7)) for w in notes) == 5


def test_keys_are_learnt_ones_and_rows_that_refer_follow() -> None:
    world = WORLDS["relational"]
    told = planted(world, "keys", 2)
    assert len(set(told.twin.root[KEY]) & set(told.learnt.root[KEY])) == 10
    tables = world.tables(told.twin)
    assert set(tables["labs"][KEY].to_pylist()) <= set(tables["subjects"][KEY].to_pylist())


def test_ordered_keys_are_fresh_and_rows_stand_in_their_order() -> None:
    told = planted(WORLDS["rich"], "order of keys", 3)
    assert not set(told.twin.root[KEY]) & set(told.learnt.root[KEY])
    assert told.twin.root[KEY].is_monotonic_increasing


def test_sequences_are_copied_whole_or_four_rows_of_them() -> None:
    world = WORLDS["relational"]
    told = planted(world, "sequence", 3)
    assert len(sequences(told.twin) & sequences(told.learnt)) == 20
    assert not set(row_set(world, told.twin)) & set(row_set(world, told.learnt))
    part = planted(world, "part of a sequence", 3)

    def runs(side: Side) -> set[tuple[object, ...]]:
        assert side.child is not None
        found = set()
        for _, rows in side.child.groupby(AT):
            gaps = rows["days"].diff().fillna(0).astype(int).tolist()
            told = list(zip(rows["test"], rows["value"], strict=True))
            found |= {(*told[i : i + 4], *gaps[i + 1 : i + 4]) for i in range(len(told) - 3)}
        return found

    assert len(runs(part.twin) & runs(part.learnt)) >= 80


def test_the_subgroup_leak_touches_no_more_than_the_smallest_group() -> None:
    world = WORLDS["coarse"]
    column, label = world.minority
    told, before = planted(world, "subgroup", 3), sides(world, "subgroup")
    members = int((told.learnt.root[column] == label).sum())
    assert changed(before.fresh[0], told.twin) <= members
    assert int((told.twin.root[column] == label).sum()) >= min(
        members, int((before.fresh[0].root[column] == label).sum())
    )


def test_twelve_releases_hold_the_same_units_blurred_afresh() -> None:
    world = WORLDS["rich"]
    told, before = planted(world, "averaging over 12", 2), sides(world, "averaging over 12")
    assert len(told.snapshots) == 12
    assert all(UNITS // 3 <= changed(a, b) <= UNITS // 2 for a, b in zip(before.fresh, told.snapshots, strict=True))


def test_between_two_releases_only_the_joined_units_differ() -> None:
    world = WORLDS["rich"]
    told = planted(world, "differencing", 2)
    (earlier,) = told.learnt_before
    assert len(told.learnt) - len(earlier) == 3
    assert set(earlier.root[KEY]) < set(told.learnt.root[KEY])
    assert len(told.held) - len(told.held_before[0]) == 3  # who joins is learnt or held back by a coin


def test_the_generator_on_trial_draws_the_loneliest_unit_it_learnt() -> None:
    world = WORLDS["rich"]
    told = planted(world, "shadow", 3)
    assert told.generator is not None
    odd = outliers(world, told.learnt, None, 1)
    row = set(row_set(world, told.learnt.take(odd)))
    rest = told.learnt.take(np.setdiff1d(np.arange(UNITS), odd))
    assert row <= set(row_set(world, told.generator(told.learnt, stream(5))))
    assert not row <= set(row_set(world, told.generator(rest, stream(5))))


def test_the_shifted_encoding_is_one_to_one() -> None:
    world = WORLDS["rich"]
    told = planted(world, "shifted encoding", 3)
    off = told.twin.root["bill_1"].mean() - told.learnt.root["bill_1"].mean()
    assert off == pytest.approx(0.5 * told.learnt.root["bill_1"].std(), rel=0.3)
    counts = [s.root["education"].value_counts().sort_values().to_list() for s in (told.twin, told.learnt)]
    assert counts[0] == counts[1]


def test_a_clean_draw_gives_a_chance_for_every_attack(tmp_path: Path) -> None:
    found = calibration._chance("relational", 0, tmp_path)
    assert set(found) == set(SHARES)
    assert all(0 < p <= 1 for p in found.values())


def test_sides_come_back_from_tables() -> None:
    for world in WORLDS.values():
        side = sides(world, "clean").learnt
        back = world.side(world.tables(side))
        assert changed(side, back) == 0


def test_the_oracle_finds_copies_of_rare_rows_and_nothing_else() -> None:
    everybody = pd.Series([f"row {i}" for i in range(3_000)] + ["frequent"] * 1_000)
    units = pd.Series([f"row {i}" for i in range(150)] + ["frequent"] * 50)
    members, fresh = np.arange(200) < 75, [f"row {i}" for i in range(500, 640)]
    clean = oracle.weighed(units, pd.Series([*fresh, *["frequent"] * 60]), everybody)
    assert clean[:150].sum() == 0
    assert 0 < clean[150] == clean[199]  # who is alike shares
    copies = oracle.weighed(units, pd.Series([*fresh, *["frequent"] * 40, *[f"row {i}" for i in range(20)]]), everybody)
    assert copies[:20].min() > 10 * copies[199]
    assert oracle.dealt_anew(copies, members, stream(0)) < 0.01 < oracle.dealt_anew(clean, members, stream(0))
