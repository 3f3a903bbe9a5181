"""Settings of data and audit: defaults stand, contradictions and ranges are refused with the option's name."""

from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.settings import Audit, Choice, Data


def test_defaults_are_valid():
    assert Choice().most_skipped == 0.1 and Data().to == Path("labels.csv") and Audit().duplicate_distance == 36


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (Choice, {"image_size": 0}, "--image-size 0"), (Choice, {"match_radius": -1.0}, "--match-radius"), (Choice, {"limit": 0}, "--limit 0"),
        (Choice, {"most_skipped": 1.5}, "--most-skipped 1.5"),
        (Choice, {"classes": ("a",)}, "needs at least two"),
        (Choice, {"classes": ("a", "a")}, "more than once"),
        (Choice, {"inputs": ("x",), "nuisance": ("x",)}, "both name x"), (Choice, {"ra": "RA"}, "--ra and --dec belong together"),
        (Data, {"simulate": 0}, "--simulate 0"), (Data, {"pre_gyr": 2.0}, "--clean-gyr"), (Data, {"simulate": 5, "images": Path("x")}, "makes its own images"),
        (Audit, {"folds": 1}, "--folds 1"), (Audit, {"permutations": 5}, "--permutations 5"), (Audit, {"leak_auc": 0.4}, "--leak-auc 0.4"),
        (Audit, {"suspect_auc": 0.9}, "must not exceed"),
        (Audit, {"significance": 0.0}, "--significance"), (Audit, {"duplicate_distance": 100}, "--duplicate-distance 100"),
    ],
)  # fmt: skip
def test_what_is_refused(kind, wrong, words):
    with pytest.raises(SettingsError, match=words):
        kind(**wrong)
