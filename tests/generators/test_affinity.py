"""Which parents second references pick: planted ties are found and drawn, nothing is made up, nothing small is kept."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from twinlake.generators.affinity import Affinity, Side
from twinlake.generators.classes import Classes, Coded, Tree
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables, file_hash
from twinlake.units import assign_units

CUSTOMERS = Table("customers", (Column("id", pa.int64(), nullable=False), Column("region", pa.string())), key=("id",))
PRODUCTS = Table(
    "products",
    (Column("no", pa.int64(), nullable=False), Column("category", pa.string()), Column("brand", pa.string())),
    key=("no",),
)
TO_BOTH = (Reference(("customer",), "customers", ("id",)), Reference(("product",), "products", ("no",)))
ORDERS = Table(
    "orders",
    (
        Column("order", pa.int64(), nullable=False),
        Column("customer", pa.int64(), nullable=False),
        Column("product", pa.int64()),
        Column("pieces", pa.int64()),
    ),
    key=("order",),
    references=TO_BOTH,
)
RATINGS = Table("ratings", ORDERS.columns[1:], key=("customer", "product"), references=TO_BOTH)
REGIONS, BRANDS = 3, 3


def shop(
    *, customers: int = 600, products: int = 120, orders: int = 6000, tied: bool = True, nulls: float = 0.0,
    once: bool = False,
) -> Tables:  # fmt: skip
    """Customers buy in the category of their region, and mostly the brand they like, which no column tells."""
    rng = np.random.default_rng(0)
    region, taste = rng.integers(0, REGIONS, customers), rng.integers(0, BRANDS, customers)
    category, brand = np.arange(products) % REGIONS, np.arange(products) // REGIONS % BRANDS
    buyer = np.sort(rng.choice(customers, orders, p=rng.dirichlet(np.full(customers, 2.0))))
    popular = rng.gamma(2.0, 1.0, products)
    bought = np.empty(orders, dtype=np.int64)
    for r, t in np.ndindex(REGIONS, BRANDS):
        rows = (region[buyer] == r) & (taste[buyer] == t)
        weights = popular * (category == r) * np.where(brand == t, 10.0, 1.0) if tied else popular
        bought[rows] = rng.choice(products, int(rows.sum()), p=weights / weights.sum())
    nowhere = rng.random(orders) < nulls * (region[buyer] == 0)
    links = pa.table({"customer": buyer, "product": pa.array(bought, mask=nowhere)})
    links = links.group_by(["customer", "product"], use_threads=False).aggregate([]) if once else links
    links = links.append_column("pieces", pa.array(rng.integers(1, 9, links.num_rows)))
    child = RATINGS if once else ORDERS
    rows = links if once else links.add_column(0, "order", pa.array(np.arange(orders)))
    words = {"region": region, "category": category, "brand": brand}
    named = {n: np.char.add(n[0], codes.astype(str)) for n, codes in words.items()}
    return Tables(
        Schema((CUSTOMERS, PRODUCTS, child)),
        {
            "customers": pa.table({"id": range(customers), "region": named["region"]}, schema=CUSTOMERS.arrow),
            "products": pa.table(
                {"no": range(products), "category": named["category"], "brand": named["brand"]}, schema=PRODUCTS.arrow
            ),
            child.name: rows.cast(child.arrow),
        },
    )


def fit(tables: Tables) -> RelationalModel:
    generator = RelationalGenerator(table_generator("forest", trees=2))
    return generator.fit(tables, units=assign_units(tables, "customers"), seed=1, unit="customers")


def matching(tables: Tables, child: str = "orders") -> float:
    """Share of links within a region's category."""
    rows = joined(tables, child)
    return float((rows["region"].str[1:] == rows["category"].str[1:]).mean())


def together(tables: Tables, child: str = "orders") -> float:
    """Chance that two links of one customer go to the same brand."""
    rows = joined(tables, child)
    same, all_ = rows.groupby(["customer", "brand"]).size(), rows.groupby("customer").size()
    return float((same * (same - 1)).sum() / (all_ * (all_ - 1)).sum())


def joined(tables: Tables, child: str) -> pd.DataFrame:
    rows = tables[child].to_pandas().merge(tables["customers"].to_pandas(), left_on="customer", right_on="id")
    return rows.merge(tables["products"].to_pandas(), left_on="product", right_on="no")


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*.*"))}


@pytest.fixture(scope="module")
def model() -> RelationalModel:
    return fit(shop())


def test_links_keep_to_what_parents_have_in_common(model: RelationalModel, tmp_path: Path) -> None:
    twin = model.sample(tmp_path, scale=1.0, seed=2)
    assert matching(shop()) == 1.0
    assert matching(twin) > 0.95
    assert together(twin) == pytest.approx(together(shop()), abs=0.06)  # by chance it would be 0.33
    assert together(shop()) > 0.6


def test_parents_keep_their_numbers_of_children(model: RelationalModel, tmp_path: Path) -> None:
    real, twin = shop(), model.sample(tmp_path, scale=1.0, seed=2)
    for column, parents in (("customer", 600), ("product", 120)):
        sides = [np.unique(t["orders"][column].to_numpy(), return_counts=True)[1] for t in (real, twin)]
        assert abs(len(sides[0]) - len(sides[1])) <= 0.03 * parents
        assert sides[0].std() == pytest.approx(sides[1].std(), rel=0.2)


def test_a_saved_model_workers_and_shards_of_any_size_give_the_same_links(
    model: RelationalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "model")
    model.sample(tmp_path / "whole", scale=1.0, seed=2)
    again = read_model(tmp_path / "model")
    again.save(tmp_path / "again")
    assert bytes_of(tmp_path / "model") == bytes_of(tmp_path / "again")
    monkeypatch.setattr("twinlake.generators.relational.ROWS", 600)  # parents stay in one
    cut = again.sample(tmp_path / "cut", scale=1.0, seed=2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        again.sample(tmp_path / "pool", scale=1.0, seed=2, executor=pool)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "pool")
    whole = Tables.open(tmp_path / "whole")
    assert len(list((tmp_path / "cut" / "orders").iterdir())) > 2
    for column in ("order", "customer", "product"):
        assert cut["orders"][column].equals(whole["orders"][column])


def test_where_parents_have_nothing_in_common_nothing_is_kept() -> None:
    assert fit(shop(tied=False)).blueprints["orders"].affinities == {}


def test_rows_without_a_second_parent_are_those_of_the_same_kind(tmp_path: Path) -> None:
    real = shop(nulls=0.5)
    twin = fit(real).sample(tmp_path, scale=1.0, seed=2)
    found = []
    for tables in (real, twin):
        rows = tables["orders"].to_pandas().merge(tables["customers"].to_pandas(), left_on="customer", right_on="id")
        found.append([float(rows["product"].isna()[rows["region"] == f"r{r}"].mean()) for r in range(REGIONS)])
    assert found[1] == pytest.approx(found[0], abs=0.06)
    assert matching(twin) > 0.93


@pytest.mark.parametrize(("products", "least"), [(120, 0.9), (30, 0.7)])  # few products: most have been taken
def test_pairs_that_must_differ_keep_to_it_too(products: int, least: float, tmp_path: Path) -> None:
    real = shop(products=products, once=True)
    twin = fit(real).sample(tmp_path, scale=1.0, seed=2)
    pairs = twin["ratings"].select(["customer", "product"]).to_pandas()
    assert not pairs.duplicated().any()
    assert len(pairs) >= 0.98 * real.rows("ratings")
    assert matching(twin, "ratings") > least


def test_few_parents_or_rows_are_no_obstacle(tmp_path: Path) -> None:
    for number, tables in enumerate((shop(products=4), shop(customers=3, orders=300), shop(orders=40))):
        twin = fit(tables).sample(tmp_path / str(number), scale=2.0, seed=3)
        assert twin.rows("orders") == 2 * tables.rows("orders")


def learnt(tables: Tables) -> tuple[Affinity, Side, Side]:
    orders, units = tables["orders"].to_pandas(), assign_units(tables, "customers")
    lead = Side(tables["customers"].select(["region"]), units["customers"], orders["customer"].to_numpy(), 600)
    second = Side(tables["products"].select(["category", "brand"]), None, orders["product"].to_numpy(), 120)
    found = Affinity.learn(lead, second, units["orders"], k=10, rng=np.random.default_rng(0))
    assert found is not None
    return found, lead, second


def test_classes_stand_for_enough_units() -> None:
    found, lead, second = learnt(shop())
    picked = found.second.draw(second.told, 120, np.random.default_rng(0))[second.at]
    for group in range(found.second.size):
        assert len(np.unique(lead.at[picked == group])) >= 10
    leaves = found.lead.tree.leaves(Coded.learn(lead.told, 600, lead.units, k=10).codes)
    assert np.bincount(leaves).min() >= 10
    assert (found.lead.shares.sum(axis=0) / found.lead.tree.size * 600 >= 5).all()
    assert found.links.sum() == pytest.approx(len(lead.at), rel=0.01)


@pytest.mark.parametrize(("strays", "kept"), [(4, False), (60, True)])
def test_ties_of_few_units_are_not_kept(strays: int, kept: bool) -> None:
    tables = shop()
    region, category = tables["customers"]["region"].to_pandas(), tables["products"]["category"].to_pandas()
    orders = tables["orders"].to_pandas()
    odd = orders["customer"].isin(np.flatnonzero(region == "r0")[:strays])
    orders.loc[odd, "product"] = np.resize(np.flatnonzero(category == "c1")[:20], odd.sum())
    rows = {**{n: tables[n] for n in ("customers", "products")}, "orders": pa.table(orders, schema=ORDERS.arrow)}
    found, lead, second = learnt(Tables(tables.schema, rows))
    rng = np.random.default_rng(0)
    there, bought = found.lead.draw(lead.told, 600, rng), found.second.draw(second.told, 120, rng)
    likely = found.links / found.links.sum(axis=1, keepdims=True).clip(1e-9)
    chance = likely[np.ix_(there[region == "r0"], np.unique(bought[category == "c1"]))].sum(axis=1).mean()
    assert chance > 0.25 if kept else chance < 0.001


def test_a_tree_needs_no_column_that_says_the_same_in_other_words() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 8, 2000)
    names = {f"name{i}": np.char.add(f"w{i}-", rng.permutation(8)[kind].astype(str)) for i in range(5)}
    coded = Coded.learn(pa.table(names), 2000, None, k=10)
    targets = rng.normal(size=(8, 3))[kind] + rng.normal(size=(2000, 3))
    tree = Tree.learn(coded, targets, np.ones(2000), None, least=10, most=64, k=10)
    assert len(Classes.of(coded, tree, np.eye(tree.size)).columns) == 1
    assert tree.size >= 8


def test_a_leaf_that_few_units_reach_is_cut_off() -> None:
    told = pa.table({"kind": ["a"] * 30 + ["b"] * 30 + ["c"] * 30})
    owners = np.r_[np.arange(30), np.arange(30), np.repeat([1, 2, 3], 10)].astype(np.uint64)  # 3 units hold all c
    coded = Coded.learn(told, 90, None, k=10)
    targets = np.repeat([[0.0], [1.0], [5.0]], 30, axis=0)
    free, bound = (
        Tree.learn(coded, targets, np.ones(90), units, least=10, most=64, k=10) for units in (None, owners)
    )  # fmt: skip
    assert free.size == 3
    held = [len(np.unique(owners[bound.leaves(coded.codes) == leaf])) for leaf in range(bound.size)]
    assert min(held) >= 10
