"""IllustrisTNG: units of group catalogues and stars; merger histories become labels with windows in Gyr."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers import illustris
from sciml.pipelines.readers.illustris import Windows
from sciml.pipelines.readers.synthetic_surveys import group_catalogue, merger_history, star_particles
from sciml.pipelines.readers.tng_snapshots import snapshot_ages

AGES = snapshot_ages()


def test_a_group_catalogue_in_physical_units(tmp_path):
    folder = group_catalogue(tmp_path / "groups_091", 91, [1e10, 0.0, 3e11], pieces=2, redshift=0.0994)
    for path in (folder, folder / "fof_subhalo_tab_091.1.hdf5"):
        frame, header = illustris.read_subhalos(path)
        assert frame.index.tolist() == ["0", "1", "2"] and header["redshift"] == pytest.approx(0.0994)
        np.testing.assert_allclose(frame["log_mstar"], [10, np.nan, np.log10(3e11)], rtol=1e-6)
        assert frame["rhalf_star"].iloc[0] == pytest.approx(10 / 0.6774 / 1.0994) and frame["mag_r"].tolist()[0] == -25
        assert (
            np.isnan(frame["mag_r"].iloc[1]) and frame["flag"].tolist() == [1, 0, 1] and frame["log_mgas"].isna().all()
        )
    assert "SubhaloVelDisp" in illustris.read_subhalos(folder, fields=["SubhaloVelDisp"])[0]
    with pytest.raises(DataError, match='no field "SubhaloVelDis"; did you mean "SubhaloVelDisp"'):
        illustris.read_subhalos(folder, fields=["SubhaloVelDis"])


def test_a_missing_piece_is_noticed(tmp_path):
    folder = group_catalogue(tmp_path / "g", 99, [1e10] * 5, pieces=3)
    (folder / "fof_subhalo_tab_099.1.hdf5").unlink()
    with pytest.raises(DataError, match="3 of 5 subhalos, 2 files: pieces are missing"):
        illustris.read_subhalos(folder)


def test_the_pieces_are_in_numeric_order(tmp_path):
    masses = [1e9 * (i + 1) for i in range(12)]
    frame, _ = illustris.read_subhalos(group_catalogue(tmp_path / "g", 99, masses, pieces=12))
    np.testing.assert_allclose(10 ** frame["log_mstar"], masses, rtol=1e-5)


def test_stars_without_wind(tmp_path):
    stars = illustris.read_stars(star_particles(tmp_path / "cutout.hdf5", n=20, wind=3, scale=0.9))
    assert stars.mass.shape == (20,) and stars.wind == 3
    np.testing.assert_allclose(stars.mass, 1e6, rtol=1e-5)
    np.testing.assert_allclose(stars.position, 90.0)  # 100 h kpc / h, comoving, times a
    np.testing.assert_allclose(stars.velocity, np.sqrt(0.9))
    assert 0 < stars.age[0] < 13.8 and stars.redshift == pytest.approx(1 / 0.9 - 1)


@pytest.mark.parametrize(
    ("lacking", "words"), [("Coordinates", "no star particles"), ("Masses", "lacks PartType4/Masses")]
)
def test_what_mini_snapshots_lack_is_named(tmp_path, lacking, words):
    path = star_particles(tmp_path / "snap_095.0.hdf5")
    with h5py.File(path, "a") as file:
        del file[f"PartType4/{lacking}"]
    with pytest.raises(DataError, match=words):
        illustris.read_stars(path)


# --- merger histories


def history(path, last=(-1, -1, -1), following=(-1, -1, -1), **more):
    fields = {"SnapNumLastMajorMerger": last, "SnapNumNextMajorMerger": following, **more}
    return merger_history(path, fields)


@pytest.mark.parametrize("group", ["", "WithConstraint"])
def test_windows_are_times_and_not_snapshots(tmp_path, group):
    fields = {"SnapNumLastMajorMerger": [66, 64, -1, -1, 67], "SnapNumNextMajorMerger": [-1, -1, 69, -1, 68],
              "MassLastMajorMerger": [1.0, 0, 0, 0, 0]}  # fmt: skip
    frame = illustris.merger_history(merger_history(tmp_path / "MergerHistory_067.hdf5", fields, group))
    assert frame.index.tolist() == list("01234") and (frame["snapshot"] == 67).all()
    assert frame["label"].tolist() == ["post", "", "pre", "non", "post"]
    assert frame["gyr_since"].iloc[0] == pytest.approx(AGES[67] - AGES[66]) and frame["gyr_since"].iloc[4] == 0
    assert frame["gyr_until"].iloc[2] == pytest.approx(AGES[69] - AGES[67]) and 0.5 < AGES[67] - AGES[64] < 1
    assert frame["log_mass_last"].iloc[0] == pytest.approx(np.log10(1e10 / 0.6774))


def test_minor_mergers_disturb_a_non_merger_and_count_when_asked(tmp_path):
    path = history(tmp_path / "m_067.hdf5", SnapNumLastMinorMerger=[66, -1, -1], SnapNumNextMinorMerger=[-1, 68, -1])
    assert illustris.merger_history(path)["label"].tolist() == ["", "", "non"]
    assert illustris.merger_history(path, minor=True)["label"].tolist() == ["post", "pre", "non"]


def test_where_the_simulation_ends_a_quiet_future_is_not_known(tmp_path):
    path = history(tmp_path / "m_099.hdf5", last=(98, 40, -1))
    frame = illustris.merger_history(path)
    assert frame["label"].tolist() == ["post", "", ""]
    notes = " | ".join(frame.attrs["sciml_notes"])
    assert (
        "the simulation ends 0.00 Gyr after snapshot 99" in notes and "pre-mergers are complete up to 0.00 Gyr" in notes
    )
    assert illustris.merger_history(path, windows=Windows(clean=1e-9, pre=1e-9, post=1e-9))["label"].tolist()[2] == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"SnapNumLastMerger": [1]}, "no field SnapNumLastMajorMerger; it has SnapNumLastMerger"),
        ({"SnapNumLastMajorMerger": [80], "SnapNumNextMajorMerger": [-1]}, "is 80 in row 0, which is not before"),
        ({"SnapNumLastMajorMerger": [-1], "SnapNumNextMajorMerger": [3]}, "is 3 in row 0, which is not after"),
        ({"SnapNumLastMajorMerger": [1.5], "SnapNumNextMajorMerger": [-1.0]}, "does not hold snapshot numbers"),
        ({"SnapNumLastMajorMerger": [1, 2], "SnapNumNextMajorMerger": [-1]}, "differ in length"),
    ],
)
def test_what_is_no_history_is_named(tmp_path, fields, words):
    with pytest.raises(DataError, match=words):
        illustris.merger_history(merger_history(tmp_path / "m_067.hdf5", fields))


def test_the_snapshot_comes_from_the_name_or_the_caller(tmp_path):
    path = history(tmp_path / "history.hdf5")
    with pytest.raises(DataError, match="holds no snapshot number"):
        illustris.merger_history(path)
    assert (illustris.merger_history(path, snapshot=50)["snapshot"] == 50).all()
    with pytest.raises(DataError, match="snapshot 150 has no redshift"):
        illustris.merger_history(path, snapshot=150)
    with pytest.raises(SettingsError, match="clean the longest"):
        Windows(pre=1.0, clean=0.5)


@settings(max_examples=60, deadline=None)
@given(
    last=st.integers(-1, 67), following=st.integers(-1, 99), minor=st.integers(-1, 67), pre=st.floats(0.1, 1.5), post=st.floats(0.1, 1.5),
    extra=st.floats(0, 1),
)  # fmt: skip
def test_labels_follow_their_definition(tmp_path_factory, last, following, minor, pre, post, extra):
    """The vectorised labels against the definition, one galaxy at a time."""
    following = -1 if following < 67 else following
    windows = Windows(pre, post, max(pre, post) + extra)
    path = tmp_path_factory.mktemp("h") / "m_067.hdf5"
    merger_history(
        path,
        {"SnapNumLastMajorMerger": [last], "SnapNumNextMajorMerger": [following], "SnapNumLastMinorMerger": [minor]},
    )
    since = AGES[67] - AGES[last] if last >= 0 else np.inf
    until = AGES[following] - AGES[67] if following >= 0 else np.inf
    quiet = min(since, until, AGES[67] - AGES[minor] if minor >= 0 else np.inf) > windows.clean
    if since <= post and not (until <= pre and until < since):
        expected = "post"
    elif until <= pre:
        expected = "pre"
    else:
        expected = "non" if quiet else ""
    assert illustris.merger_history(path, windows=windows)["label"].iloc[0] == expected
