"""SDSS spectra and tables: the published conventions on tiny files, the published values on ten real spectra."""

import numpy as np
import pytest
from astropy.table import Table

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import sdss
from sciml.pipelines.readers.synthetic_surveys import spectrum

OBJID = "1237648721217716541"


def test_a_spectrum_in_physical_units(tmp_path):
    read = sdss.read_spectrum(spectrum(tmp_path / "spec-0266-51630-0001.fits", OBJID, z=0.05, ew=12.0))
    assert read.objid == OBJID and read.redshift == pytest.approx(0.05)
    assert read.wavelength[0] == pytest.approx(10**3.58, rel=1e-6) and (read.flux == 10).all()
    row = sdss.features(read)
    assert row["ew_h_alpha"] == 12 and row["flux_h_alpha"] == 120 and row["vdisp"] == 150 and row["class"] == "GALAXY"
    assert np.isnan(row["ew_h_beta"]), "a negative error: the fit failed"
    assert np.isnan(row["flux_nii_6583"]), "no pixel on either side: not covered"


def test_a_folder_of_spectra_names_what_it_leaves_out(tmp_path):
    for number in (1, 2, 3):
        spectrum(tmp_path / f"spec-0266-51630-000{number}.fits", OBJID if number < 3 else "587739505552785605")
    (tmp_path / "spec-0266-51630-0004.fits").write_bytes(b"SIMPLE  =")
    (tmp_path / "spec-0266-51630-0005.fits").write_bytes(b"")
    frame, skipped = sdss.read_spectra(tmp_path)
    assert frame.index.tolist() == [OBJID, "587739505552785605"] and len(skipped) == 3
    assert skipped.to_dict()["a second spectrum of the same object"] == ["spec-0266-51630-0002.fits"]
    with pytest.raises(DataError, match="holds no spectra"):
        sdss.read_spectra(tmp_path / "nowhere")


def test_a_fits_table_without_flux_is_no_spectrum(tmp_path):
    Table({"a": [1.0]}).write(tmp_path / "spec-1.fits")
    with pytest.raises(DataError, match="no coadded spectrum"):
        sdss.read_spectrum(tmp_path / "spec-1.fits")
    with pytest.raises(DataError, match="none of 1 spectra"):
        sdss.read_spectra(tmp_path)


def test_without_a_photometric_object_the_plate_names_the_spectrum():
    assert sdss.objid_of({"BESTOBJID": "   ", "PLATE": 266, "MJD": 51630, "FIBERID": 7}) == "266-51630-7"
    assert sdss.objid_of({"BESTOBJID": f"{OBJID} "}) == OBJID and sdss.objid_of({}) == ""


def test_specobj_rows_without_an_object_are_named(write):
    frame = sdss.read_specobj(write("t.csv", f"BESTOBJID,Z\n{OBJID},0.1\n,0.2\n{OBJID},0.3\n"))
    assert frame.index.tolist() == [OBJID] and frame["Z"].tolist() == [0.1]
    assert "1 rows without BESTOBJID are left out" in frame.attrs["sciml_notes"]
    with pytest.raises(DataError, match="no column BESTOBJID"):
        sdss.read_specobj(write("u.csv", "a,b\n1,2\n"))


def test_galspec_turns_the_sign_of_equivalent_widths(write):
    line = write("line.csv", "h_alpha_flux,h_alpha_flux_err,h_alpha_eqw\n10,1,-20\n11,-1,-3\n12,1,1.5\n")
    info = write(
        "info.csv",
        "specObjID,reliable,v_disp\n1234567890123456789,1,120\n1234567890123456790,1,130\n1234567890123456791,0,140\n",
    )
    frame = sdss.read_galspec(info, line)
    assert frame["ew_h_alpha"].tolist() == [20, 3], "positive in emission, as in SPZLINE"
    assert (
        frame["h_alpha_flux"].isna().tolist() == [False, True]
        and frame["specobjid"].tolist()[0] == "1234567890123456789"
    )
    assert frame.attrs["sciml_notes"] == ["1 rows that are not RELIABLE are left out"]
    with pytest.raises(DataError, match="different numbers of rows"):
        sdss.read_galspec(info, write("short.csv", "a\n1\n"))


def test_the_bits_of_an_objid():
    # sky version, rerun, run, camcol, field, object (SDSS glossary, "objID")
    packed = 1 << 59 | 301 << 48 | 752 << 32 | 5 << 29 | 373 << 16 | 197
    assert sdss.objid_parts(str(packed)) == {"run": 752, "rerun": 301, "camcol": 5, "field": 373, "obj": 197}
    with pytest.raises(DataError, match="not an SDSS objid"):
        sdss.objid_parts("12")


def test_ten_real_spectra(real_data):
    folder = real_data / "galaxy" / "sdss_matched10"
    if not folder.is_dir():
        pytest.skip(f"no real spectra at {folder}")
    frame, skipped = sdss.read_spectra(folder / "spectra")
    assert len(frame) == 10 and not len(skipped)
    assert set(frame.index) == {path.stem for path in (folder / "images").glob("*.jpeg")}
    assert frame["redshift"].between(0.01, 0.3).all() and (frame["class"] == "GALAXY").all()
    parts = [sdss.objid_parts(objid) for objid in frame.index]
    assert all(1 <= part["camcol"] <= 6 and part["rerun"] == 301 for part in parts), "DR8 and later: rerun 301"
    # the nebular doublet has a fixed ratio: a check on names, units and signs at once
    strong = frame[frame["flux_oiii_5007"] > 5 * frame["flux_err_oiii_5007"]]
    ratio = strong["flux_oiii_5007"] / strong["flux_oiii_4959"]
    assert len(strong) >= 2 and ratio.median() == pytest.approx(2.98, abs=0.6)
    assert ((frame["ew_h_alpha"] > 0) == (frame["flux_h_alpha"] > 0)).all()
