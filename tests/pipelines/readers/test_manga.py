"""MaNGA: masks, channel names, corrected dispersions; DAPall vectors by line."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import manga
from sciml.pipelines.readers.synthetic_surveys import MAPS_LINES, dapall, manga_maps

NAME = "manga-7443-12703-MAPS-HYB10-MILESHC-MASTARHC2.fits.gz"


def test_maps_by_name_and_channel(tmp_path):
    maps = manga.read_maps(manga_maps(tmp_path / NAME, "7443-12703"))
    assert maps.plateifu == "7443-12703" and maps.redshift == pytest.approx(0.03)
    assert maps.channels["EMLINE_GFLUX"] == MAPS_LINES and maps.maps["EMLINE_GFLUX"].shape == (4, 6, 6)
    flux = maps.map("EMLINE_GFLUX", "Ha-6564")
    assert np.isnan(flux[0, 0]) and np.isnan(flux).sum() == 1 and flux[3, 3] == 2, "the masked spaxel, and no other"
    np.testing.assert_allclose(maps.corrected()[1:], 40.0, rtol=1e-6)  # 50^2 - 30^2 = 40^2
    with pytest.raises(DataError, match='no map "EMLINE_FLUX"; did you mean "EMLINE_GFLUX"'):
        maps.map("EMLINE_FLUX")
    with pytest.raises(DataError, match='no channel "Ha-6565"; did you mean "Ha-6564"'):
        maps.map("EMLINE_GFLUX", "Ha-6565")


def test_features_within_the_effective_radius(tmp_path):
    row = manga.features(manga.read_maps(manga_maps(tmp_path / NAME, "7443-12703", flux=2.0)))
    inside = int((np.linspace(0, 2, 36) < 1).sum()) - 1  # one spaxel is masked
    assert row["flux_h_alpha"] == pytest.approx(2.0 * inside) and row["ew_h_alpha"] == pytest.approx(3.0)
    assert row["dn4000"] == pytest.approx(2.0), "the channel Dn4000, not the first"
    assert row["sigma_star"] == pytest.approx(40.0) and 0 < row["vel_range"] < 200


def test_a_folder_of_maps(tmp_path):
    manga_maps(tmp_path / NAME, "7443-12703")
    manga_maps(tmp_path / NAME.replace("7443", "7444"), "7444-12703")
    manga_maps(tmp_path / NAME.replace("HYB10", "SPX"), "7443-12703")
    (tmp_path / NAME.replace("7443", "7445")).write_bytes(b"damaged")
    frame, skipped = manga.read_maps_folder(tmp_path)
    assert sorted(frame.index) == ["7443-12703", "7444-12703"] and len(skipped) == 2
    assert "a second analysis of the same galaxy" in skipped.to_dict()
    with pytest.raises(DataError, match="holds no manga"):
        manga.read_maps_folder(tmp_path / "nowhere")


def test_a_file_without_maps_is_refused(tmp_path):
    dapall(tmp_path / "dapall.fits", ["1-1", "1-2"])
    with pytest.raises(DataError, match="holds none of the maps"):
        manga.read_maps(tmp_path / "dapall.fits")


def test_dapall_names_the_elements_of_its_vectors(tmp_path):
    frame = manga.read_dapall(dapall(tmp_path / "dapall.fits", ["7443-12701", "7443-12702", "7443-12703"]))
    assert (
        frame.index.tolist() == ["7443-12701", "7443-12702"]
        and "1 galaxies that were not analysed" in frame.attrs["sciml_notes"][0]
    )
    assert frame["EMLINE_GFLUX_1RE_Ha-6564"].tolist() == [2, 6] and "SPECINDEX_1RE_Dn4000" in frame
    assert frame["STELLAR_SIGMA_1RE"].isna().tolist() == [True, False], "-999 was not measured"
    with pytest.raises(DataError, match='no extension "SPX"'):
        manga.read_dapall(tmp_path / "dapall.fits", "SPX")


def test_visual_morphology(write):
    frame = manga.read_visual_morphology(
        write("v.csv", "plateifu,MANGAID,Type,edge_on,tidal,Conc\n7443-1,1-2,Sb,0,1,3.1\n7443-2,1-3,E,0,0,3.0\n")
    )
    assert frame.loc["7443-1", "tidal"] == 1 and frame.index.name == "plateifu"
    with pytest.raises(DataError, match="not a visual morphology catalogue"):
        manga.read_visual_morphology(write("w.csv", "a,b\n1,2\n"))
