"""What a column is, told from its name, on the names that surveys and simulations use."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.galaxy import roles

KINDS = {
    "snapshot": "Snapshot snap SnapNum snap_num", "redshift": "redshift z Z_ERR zspec photo_z zwarning ZPHOT",
    "position": "ra DEC plug_ra RAJ2000 dec_deg healpix", "observation": "plate MJD fiberID run camcol field airmass",
    "sky noise": "sky_sigma NOISE_VARIANCE background sn_median SNR depth_r", "sample": "sample survey split camera",
    "processing": "runtime flag flag_sersic nx_stamp pixel_scale GAL_HDU",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind, names in KINDS.items() for name in names.split()])
def test_nuisances(name, kind):
    assert roles.nuisance_kind(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "StellarMass",
        "gini",
        "m20",
        "asymmetry",
        "SFR",
        "VelocityDispersion",
        "Metallicity",
        "h_alpha_ew",
        "color_gr",
        "dn4000",
        "n_sersic",
    ],
)
def test_what_a_model_may_learn_from(name):
    assert (
        roles.nuisance_kind(name) is None
        and not roles.bears_label(name)
        and not roles.is_path(name)
        and not roles.is_magnitude(name)
    )


def test_one_letter_means_a_band_beside_other_bands():
    assert roles.nuisance_kind("z") == "redshift" and roles.nuisance_kind("z", ["g", "r", "i", "z"]) is None
    assert roles.bears_label("y") and not roles.bears_label("y", ["g", "r", "i", "z", "y"])


@pytest.mark.parametrize(
    "name",
    [
        "label",
        "label_m",
        "label_derived_merger",
        "merger",
        "merger_stage",
        "is_merger",
        "Phase",
        "class",
        "ans",
        "gz2_class",
        "p_merger",
    ],
)
def test_label_bearing_names(name):
    assert roles.bears_label(name)


@pytest.mark.parametrize("name", ["image", "file_name", "path", "GAL_FILENAME", "url", "thumbnail"])
def test_files(name):
    assert roles.is_path(name)


@pytest.mark.parametrize("name", ["petroMag_r", "modelmag_g", "MAG", "mag_auto", "r_mag"])
def test_apparent_magnitudes(name):
    assert roles.is_magnitude(name)


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("a", [np.nan] * 4, "every cell is missing"), ("a", [2.0] * 4, "the same value everywhere"), ("a", [2.0, 2.0, np.nan, 2.0], None),
        ("a", ["p", "q", "r", "s"], "text with a value of its own in most rows"), ("a", ["p", "q", "p", "q"], None),
        ("specobjid", ["1", "2", "3", "4"], "identifier"),
        ("p_merger", [0.1, 0.2, 0.3, 0.4], "label or votes"), ("image", ["a", "b", "c", "d"], "file name"),
    ],
)  # fmt: skip
def test_why_a_column_is_kept_from_the_model(name, cells, reason):
    assert roles.why_withheld(name, pd.Series(cells)) == reason


def test_positions_are_found_in_pairs():
    assert roles.position_columns(["id", "RA", "dec"]) == ("RA", "dec")
    assert roles.position_columns(["ra", "plug_ra", "plug_dec"]) == ("plug_ra", "plug_dec")
    assert roles.position_columns(["ra"]) is None and roles.first_named(["A", "b"], "x", "B") == "b"
