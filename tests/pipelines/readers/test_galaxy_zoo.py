"""Galaxy Zoo: which columns are votes, mergers by vote and by class, ids that lost digits."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import galaxy_zoo

GZ2 = f"dr7objid,gz2_class,{galaxy_zoo.GZ2_ODD},{galaxy_zoo.GZ2_MERGER}\n"
GZ1 = (
    "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,SPIRAL,ELLIPTICAL,UNCERTAIN\n"
)


@pytest.mark.parametrize(
    "name",
    ["t08_odd_feature_a24_merger_debiased", "t01_smooth_or_features_a01_smooth_fraction", "gz2_class", "P_MG", "NVOTE", "p_merger", "total_votes",
     "merging_merger_fraction", "smooth-or-featured-dr5_smooth_fraction", "SPIRAL"],
)  # fmt: skip
def test_votes(name):
    assert galaxy_zoo.is_vote(name)


@pytest.mark.parametrize(
    "name", ["p_value", "petroMag_r", "bar", "spiral_arm_length", "redshift", "smoothness", "merger"]
)
def test_no_votes(name):
    assert not galaxy_zoo.is_vote(name)


def test_gz1(write):
    rows = "587722981741363294,0.1,1.5,30,0.2,0.1,0.1,0,0.1,0.5,0.2,0.2,0.2,0,0,1\n587722981741363323,0.2,1.6,40,0.9,0,0,0,0,0.4,0,0.9,0,0,1,0\n"
    frame = galaxy_zoo.read_galaxy_zoo(write("gz1.csv", GZ1 + rows))
    assert frame.index.tolist() == ["587722981741363294", "587722981741363323"]
    assert galaxy_zoo.merger_labels(frame).tolist() == [1, 0], "P_MG > 0.4 (Darg et al. 2010)"


def test_gz2(write):
    rows = "587739505552785605,Sc?t(m),0.9,0.9\n587732578312454276,SBc4t(r),0.9,0.1\n587732154179452963,Ei,,0.3\n"
    frame = galaxy_zoo.read_galaxy_zoo(write("gz2.csv", GZ2 + rows))
    assert galaxy_zoo.merger_labels(frame).tolist() == [1, 0, -1]
    assert galaxy_zoo.merger_labels(frame, strict=True).tolist() == [1, 0, 0]
    np.testing.assert_allclose(galaxy_zoo.merger_fraction(frame), [0.81, 0.09, np.nan])


@pytest.mark.parametrize(
    ("text", "words"),
    [("objid,v\n1,2\n", "has no votes"), ("gz2_class,v\nEi,2\n", "no column dr7objid or objid"), (GZ2 + "1,Ei,0,0\n1,Ei,0,0\n", "occur more than once"),
     (GZ2 + "5.87739505552786e+17,Ei,0,0\n", "lost digits")],
)  # fmt: skip
def test_what_is_refused(write, text, words):
    with pytest.raises(DataError, match=words):
        galaxy_zoo.read_galaxy_zoo(write("t.csv", text))


def test_rounded_ids_are_recognised():
    rounded = pd.Series([str(int(float(587739505552785605 + 7919 * i)) // 100 * 100) for i in range(10)])
    with pytest.raises(DataError, match='10 ids in column "objid" lost digits'):
        galaxy_zoo.check_ids(rounded, "objid", "t.csv")
    galaxy_zoo.check_ids(pd.Series([str(587739505552785605 + 7919 * i) for i in range(10)]), "objid", "t.csv")
    galaxy_zoo.check_ids(pd.Series(["1", "2e", None]), "objid", "t.csv")


def test_the_filename_mapping(write):
    path = write(
        "m.csv",
        "objid,sample,asset_id\n587722981736120347,original,1\n587722981736579107,original,2\n587722981736120347,stripe82,3\n",
    )
    frame = galaxy_zoo.read_filename_mapping(path)
    assert frame.loc["587722981736120347", "asset_id"] == "1" and len(frame) == 2


def test_the_strict_label_of_real_galaxies_is_the_class(real_data):
    path = real_data / "galaxy" / "gz2_sample" / "labels.csv"
    if not path.is_file():
        pytest.skip(f"no real votes at {path}")
    frame = galaxy_zoo.read_galaxy_zoo(path)
    assert len(frame) == 702 and frame.index.name == "objid"
    np.testing.assert_array_equal(galaxy_zoo.merger_labels(frame, strict=True), frame["label_m"])
