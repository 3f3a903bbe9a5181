"""SDSS spectra (spec-lite) and spectroscopic tables (SpecObj, MPA-JHU galSpec).

Conventions of the files: flux and line areas in 1e-17 erg s-1 cm-2 (A-1), log10 of vacuum wavelength [A]; LINEEW of
SPZLINE is positive in emission, `_eqw` of galSpec is negative in emission; LINENPIXLEFT + LINENPIXRIGHT = 0 means that
the line lies outside the spectrum, a negative error that the fit failed. Extension names differ between data releases,
so extensions are told by their columns. Sources: SDSS data model, spec and specObj; Brinchmann et al. 2004 (galSpec).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from . import files, fits
from .catalogs import read_catalog
from .skipped import Skipped

# our name -> names in LINENAME over the data releases
LINES = {
    "oii_3725": ("[O_II] 3725",), "oii_3727": ("[O_II] 3727",), "h_gamma": ("H_gamma",), "h_beta": ("H_beta",),
    "oiii_4959": ("[O_III] 4959",), "oiii_5007": ("[O_III] 5007",), "oi_6300": ("[O_I] 6300",),
    "nii_6548": ("[N_II] 6548",), "h_alpha": ("H_alpha",), "nii_6583": ("[N_II] 6583", "[N_II] 6584"),
    "sii_6716": ("[S_II] 6716", "[S_II] 6717"), "sii_6730": ("[S_II] 6730", "[S_II] 6731"),
}  # fmt: skip
_BANDS = "ugriz"


@dataclass(frozen=True, eq=False)
class SdssSpectrum:
    """One spectrum: arrays [pixel] and what the pipeline measured.

    objid: text, the photometric object (BESTOBJID). wavelength [A], vacuum. flux, model, sky [1e-17 erg s-1 cm-2 A-1].
    ivar: inverse variance of flux, 0 where bad. mask: and_mask. wdisp: instrumental dispersion [pixels]. lines: SPZLINE,
    indexed by LINENAME. row: SPECOBJ by upper-case name.
    """

    objid: str
    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    model: np.ndarray
    sky: np.ndarray
    wdisp: np.ndarray
    lines: pd.DataFrame
    row: dict[str, object]

    @property
    def redshift(self) -> float:
        """Z of SPECOBJ."""
        return float(self.row["Z"])


def read_spectrum(path: str | Path) -> SdssSpectrum:
    """A spec-lite or full spec file.

    Raises:
        DataError: not FITS, damaged, or without a coadded spectrum.
    """
    path = Path(path)
    with fits.open_fits(path) as hdus:
        tables = [fits.frame_of(hdus[i], path) for i in fits.table_extensions(hdus)]
    coadd = _with(tables, {"flux", "loglam", "ivar"})
    if coadd is None or coadd.empty:
        raise DataError(
            f"{path} holds no coadded spectrum (columns flux, loglam, ivar)", hint="give an SDSS spec-lite file"
        )
    row_table, lines = _with(tables, {"plate", "mjd", "z", "class"}), _with(tables, {"linename", "linearea"})
    row = {} if row_table is None or row_table.empty else {k.upper(): v for k, v in row_table.iloc[0].items()}
    column = {name.casefold(): coadd[name].to_numpy() for name in coadd.columns}
    blank = np.full(len(coadd), np.nan)
    return SdssSpectrum(
        objid=objid_of(row),
        wavelength=10.0 ** column["loglam"].astype(np.float64),
        flux=column["flux"].astype(np.float64),
        ivar=np.where(np.isfinite(column["flux"]), column["ivar"], 0.0).astype(np.float64),
        mask=column.get("and_mask", np.zeros(len(coadd), np.int32)),
        model=column.get("model", blank).astype(np.float64),
        sky=column.get("sky", blank).astype(np.float64),
        wdisp=column.get("wdisp", blank).astype(np.float64),
        lines=_line_table(lines),
        row={"Z": np.nan} | row,
    )


def _with(tables: list[pd.DataFrame], columns: set[str]) -> pd.DataFrame | None:
    return next((t for t in tables if columns <= {name.casefold() for name in t.columns}), None)


def _line_table(lines: pd.DataFrame | None) -> pd.DataFrame:
    """SPZLINE by line name; cells of lines outside the spectrum or with failed fits are NaN."""
    if lines is None:
        return pd.DataFrame(columns=["LINEWAVE", "LINEAREA", "LINEAREA_ERR", "LINEEW", "LINEEW_ERR", "LINESIGMA"])
    lines = lines.rename(columns=str.upper)
    lines = lines.assign(LINENAME=lines["LINENAME"].str.strip()).drop_duplicates("LINENAME").set_index("LINENAME")
    covered = lines.get("LINENPIXLEFT", 1) + lines.get("LINENPIXRIGHT", 1) > 0
    for name in ("LINEAREA", "LINEEW", "LINESIGMA"):
        if name in lines:
            good = covered & (lines.get(f"{name}_ERR", 0) >= 0)
            lines[name] = lines[name].astype(np.float64).where(good)
    return lines


def objid_of(row: dict[str, object]) -> str:
    """Identifier of the photometric object, else plate-mjd-fiber, from a row of SpecObj."""
    for name in ("BESTOBJID", "OBJID", "FLUXOBJID"):
        value = str(row.get(name, "")).strip()
        if re.fullmatch(r"\d{15,}", value):
            return value
    parts = [str(row.get(name, "")).strip() for name in ("PLATE", "MJD", "FIBERID")]
    return "-".join(parts) if all(parts) else ""


def features(spectrum: SdssSpectrum) -> dict[str, float | str]:
    """What a table of objects holds of a spectrum: redshift, dispersion, line fluxes and equivalent widths, colours.

    flux_<line> [1e-17 erg s-1 cm-2], ew_<line> [A, positive in emission], sigma_<line> [km s-1]; NaN where not covered.
    g_r and so on are synthetic colours of the spectrum [mag].
    """
    row = spectrum.row
    found: dict[str, float | str] = {"objid": spectrum.objid}
    for name, key in (("ra", "PLUG_RA"), ("dec", "PLUG_DEC"), ("redshift", "Z"), ("redshift_err", "Z_ERR"),
                      ("vdisp", "VDISP"), ("vdisp_err", "VDISP_ERR"), ("sn_median", "SN_MEDIAN_ALL")):  # fmt: skip
        found[name] = _number(row.get(key))
    if not found["vdisp_err"] > 0:  # the fit of the dispersion failed, or was not made
        found["vdisp"] = np.nan
    for key in ("ZWARNING", "PLATE", "MJD", "FIBERID"):
        found[key.lower()] = _number(row.get(key))
    found["class"] = str(row.get("CLASS", "")).strip()
    for name, spellings in LINES.items():
        line = next((spectrum.lines.loc[s] for s in spellings if s in spectrum.lines.index), {})
        for short, key in (
            ("flux", "LINEAREA"),
            ("flux_err", "LINEAREA_ERR"),
            ("ew", "LINEEW"),
            ("sigma", "LINESIGMA"),
        ):
            value = _number(line.get(key))
            found[f"{short}_{name}"] = np.nan if short == "flux_err" and not value >= 0 else value
    fluxes = [_number(row.get(f"SPECTROFLUX_{i}")) for i in range(5)]
    for blue, red, name in zip(fluxes, fluxes[1:], zip(_BANDS, _BANDS[1:], strict=False), strict=False):
        found["_".join(name)] = -2.5 * np.log10(blue / red) if blue > 0 and red > 0 else np.nan
    return found


def _number(value: object) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def read_spectra(folder: str | Path) -> tuple[pd.DataFrame, Skipped]:
    """One row of `features` per spectrum of a folder, indexed by object id, and the files left out.

    Raises:
        DataError: no folder, or no usable spectrum in it.
    """
    folder = Path(folder)
    paths = (
        sorted(p for p in folder.rglob("*") if re.fullmatch(r"(spec|spSpec).*\.fits?(\.gz)?", p.name))
        if folder.is_dir()
        else []
    )
    if not paths:
        raise DataError(f"{folder} holds no spectra", hint="spec-PLATE-MJD-FIBER.fits files are looked for")
    skipped, rows, seen = Skipped("spectra"), [], set()
    for path in paths:
        try:
            row = features(read_spectrum(path))
        except DataError as error:
            skipped.add(str(error).replace(str(path), "").strip(), path.name)
            continue
        if row["objid"] in seen:
            skipped.add("a second spectrum of the same object", path.name)
        elif not row["objid"]:
            skipped.add("no object id", path.name)
        else:
            seen.add(row["objid"])
            rows.append(row)
    if not rows:
        raise DataError(f"none of {len(paths)} spectra in {folder} can be used: {'; '.join(skipped.lines())}")
    return pd.DataFrame(rows).set_index("objid"), skipped


def read_specobj(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """SpecObj in FITS or CSV, indexed by BESTOBJID (text); rows without a photometric object are left out."""
    frame = read_catalog(path, columns)
    names = {name.casefold(): name for name in frame.columns}
    column = next((names[n] for n in ("bestobjid", "objid", "dr7objid") if n in names), None)
    if column is None:
        raise DataError(f"{path} has no column BESTOBJID", hint="give a SpecObj table")
    ids = frame[column].astype(object).where(frame[column].notna(), "").astype(str).str.strip()
    known = ids.str.fullmatch(r"\d{10,}").to_numpy(bool)
    notes = [
        *frame.attrs.get("sciml_notes", []),
        *([f"{(~known).sum()} rows without {column} are left out"] if not known.all() else []),
    ]
    frame = frame[known].set_axis(pd.Index(ids[known], name="objid"), axis=0)
    frame = frame[~frame.index.duplicated()]
    frame.attrs["sciml_notes"] = notes
    return frame


def read_galspec(*paths: str | Path) -> pd.DataFrame:
    """MPA-JHU files (galSpecInfo, -Line, -Indx, -Extra), which share their row order, as one table.

    `ew_<line>` is added beside each `<line>_eqw` with the sign turned: positive in emission. Rows with RELIABLE = 0 are
    left out, line fluxes with a negative error (not fitted) are NaN.

    Raises:
        DataError: files of different length, or none given.
    """
    if not paths:
        raise DataError("no galSpec file given")
    frames = [read_catalog(path) for path in paths]
    lengths = {str(path): len(frame) for path, frame in zip(paths, frames, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"galSpec files have different numbers of rows: {lengths}", hint="take all from the same release"
        )
    frame = pd.concat(frames, axis=1)
    frame = frame.loc[:, ~frame.columns.str.casefold().duplicated()]
    frame = frame.rename(columns=str.lower)
    for name in [n for n in frame.columns if n.endswith("_flux_err")]:
        flux = name.removesuffix("_err")
        if flux in frame:
            frame[flux] = frame[flux].where(frame[name] >= 0)
    new = {"ew_" + n.removesuffix("_eqw"): -frame[n] for n in frame.columns if n.endswith("_eqw")}
    frame = pd.concat([frame, pd.DataFrame(new, index=frame.index)], axis=1)
    notes = []
    if "reliable" in frame and (frame["reliable"] == 0).any():
        bad = frame["reliable"] == 0
        notes.append(f"{int(bad.sum())} rows that are not RELIABLE are left out")
        frame = frame[~bad]
    frame.attrs["sciml_notes"] = notes
    return frame


def objid_parts(objid: str) -> dict[str, int]:
    """run, camcol, field and obj packed into an SDSS objid (DR7 and later share these bits); DataError if it is none."""
    if not re.fullmatch(r"\d{17,20}", objid.strip()):
        raise DataError(f'"{objid}" is not an SDSS objid: 18 or 19 digits')
    number = int(objid)
    return {
        "run": number >> 32 & 0xFFFF, "rerun": number >> 48 & 0x7FF, "camcol": number >> 29 & 7,
        "field": number >> 16 & 0xFFF, "obj": number & 0xFFFF,
    }  # fmt: skip


def is_spectrum(path: Path) -> bool:
    """True for a file that looks like an SDSS spectrum by its name and its first bytes."""
    return path.name.startswith("spec") and files.path_size(path) != "a folder" and fits.is_fits(path)
