"""Near copies among table rows: planted ones are found, correlated tables without any are not accused, groups keep them together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.galaxy.audit import audit
from sciml.pipelines.galaxy.catalog import Catalog
from sciml.pipelines.galaxy.duplicates import find_duplicates
from sciml.pipelines.galaxy.gather import gather
from sciml.pipelines.galaxy.near_copies import find_near_copies, grouped_by_copies, near_copy_findings
from sciml.pipelines.galaxy.settings import Audit, Choice
from sciml.pipelines.galaxy.simulator.simulate import simulate
from sciml.pipelines.galaxy.splits import fold_numbers


def correlated(n=600, seed=0, gaps=True) -> pd.DataFrame:
    """Magnitudes that follow one another, a colour, a column with a floor and one with gaps: what catalogs look like."""
    random = np.random.default_rng(seed)
    mass = random.normal(size=n)
    table = pd.DataFrame({f"mag_{k}": -20 - mass + random.normal(0, 0.15, n) for k in "gri"})
    table["size"] = np.exp(0.5 * mass + random.normal(0, 0.5, n))
    table["metals"] = random.normal(size=n)
    table["sfr"] = np.maximum(random.normal(size=n), -0.5)
    table["bulge"] = np.where(random.random(n) < 0.3, np.nan, random.normal(size=n)) if gaps else random.normal(size=n)
    return table


def planted(n=600, n_copies=60, scatter=0.01, seed=0) -> pd.DataFrame:
    """The first `n_copies` rows again at the end, a little moved."""
    table = correlated(n, seed)
    move = scatter * np.random.default_rng(seed + 1).normal(size=(n_copies, table.shape[1])) * table.std().to_numpy()
    again = table.iloc[:n_copies] + move
    again["sfr"] = table["sfr"][:n_copies]  # what is at the floor stays there
    return pd.concat([table, again], ignore_index=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_table_without_copies_is_not_accused(seed):
    assert not len(find_near_copies(correlated(600, seed)).pairs)


def test_simulated_galaxies_have_none():
    assert not len(find_near_copies(simulate(1000, seed=3, pictures=False).table).pairs)


def test_planted_copies_are_found():
    found = find_near_copies(planted())
    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    true = {(i, 600 + i) for i in range(60)}
    assert len(pairs & true) >= 50 and len(pairs - true) <= 10
    assert found.expected <= 0.1 * found.rows and found.n == 660
    # the nearest come first
    assert set(map(tuple, found.pairs[:20].tolist())) <= true


def test_equal_rows_do_not_break_the_ratio():
    table = correlated(300)
    table = pd.concat([table, *[table.iloc[:1]] * 15], ignore_index=True)
    assert find_near_copies(table).n == 315  # sixteen rows at distance zero


@pytest.mark.parametrize("table", [correlated(30), correlated(300)[["mag_g", "sfr"]], pd.DataFrame(index=range(5))])
def test_too_small_a_table_says_nothing(table):
    assert not len(find_near_copies(table).pairs)


def catalog_of(table, **parts) -> Catalog:
    n = len(table)
    return Catalog(
        ids=np.array([f"g{i:04d}" for i in range(n)]), table=table, labels=np.arange(n) % 2, classes=("a", "b"), **parts
    )


def test_copies_end_up_in_one_fold():
    catalog = catalog_of(planted())
    copies = find_near_copies(catalog.table)
    together = grouped_by_copies(catalog, copies)
    fold = fold_numbers(together, 5, 0)
    assert (fold[copies.pairs[:, 0]] == fold[copies.pairs[:, 1]]).all()
    loose = fold_numbers(catalog, 5, 0)
    assert (loose[copies.pairs[:, 0]] != loose[copies.pairs[:, 1]]).mean() > 0.5


def test_groups_that_were_there_are_kept_and_chains_are_cut():
    table = correlated(300)
    chain = pd.concat([table.iloc[:1] + 1e-4 * k for k in range(40)], ignore_index=True)
    catalog = catalog_of(pd.concat([table, chain], ignore_index=True))
    groups = np.where(np.arange(340) < 90, "old", catalog.ids)
    copies = replace(find_near_copies(planted()), pairs=np.array([[k, k + 1] for k in range(299, 339)]))
    together = grouped_by_copies(replace(catalog, groups=groups), copies, largest=8)
    _, sizes = np.unique(together.groups[300:], return_counts=True)
    assert sizes.max() <= 8 and sizes.max() > 4
    assert len(set(together.groups[:90])) == 1, "a group is never torn, however large"


def test_the_audit_names_them_and_is_quiet_once_they_are_together():
    catalog = catalog_of(planted())
    labels = catalog.labels.copy()
    labels[600:] = labels[:60]
    catalog = replace(catalog, labels=labels)
    quick = Audit(folds=2, permutations=20)
    finding = audit(catalog, quick).find("near-copy rows")
    assert finding.verdict == "leak" and "share the label" in finding.detail and "--group near-copies" in finding.advice
    together = grouped_by_copies(catalog, find_near_copies(catalog.table))
    assert audit(together, quick).find("near-copy rows").verdict == "note"
    assert not near_copy_findings(catalog_of(correlated()), find_near_copies(correlated()), None)


def test_the_option_of_the_command(tmp_path):
    planted().assign(objid=[f"o{i}" for i in range(660)], merger=np.arange(660) % 2).to_csv(
        tmp_path / "t.csv", index=False
    )
    made = gather(Choice(table=(tmp_path / "t.csv",), id="objid", label="merger", group="near-copies"))
    _, sizes = np.unique(made.catalog.groups, return_counts=True)
    assert (sizes == 2).sum() >= 45
    assert any("near copies stay together" in note for note in made.notes)


def test_the_same_galaxy_in_neighbouring_snapshots_of_tng(galaxy_data: Path):
    table = galaxy_data / "tng_synergi" / "Illustris_raw.csv"
    if not table.is_file():
        pytest.skip(f"no {table}")
    catalog = gather(Choice(table=(table,), label="Phase")).catalog
    copies = find_near_copies(catalog.table)
    i, j = copies.pairs.T
    assert copies.share == pytest.approx(0.15, abs=0.03)
    snapshot = catalog.nuisance["Snapshot"].to_numpy()
    assert (snapshot[i] != snapshot[j]).mean() > 0.85, "hardly two galaxies of one snapshot are copies"
    assert (catalog.labels[i] == catalog.labels[j]).mean() > 0.9
    assert not len(find_duplicates(catalog).rows), "not equal: nearly equal"
