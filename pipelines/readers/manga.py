"""MaNGA: the maps of the Data Analysis Pipeline, its summary table DAPall, and visual morphologies.

Axes: channel, [y, x] spaxels. Conventions (Westfall et al. 2019, AJ 158, 231): flux in 1e-17 erg s-1 cm-2 spaxel-1; a
spaxel is unusable where bit 30 (DONOTUSE) of its mask is set; channel names stand in the header as C01, C02, ...;
dispersions include the instrument, sigma^2 = sigma_measured^2 - correction^2; -999 means not measured. In DAPall the
names of vector elements stand in the primary header: ELSnn (summed lines), ELGnn (Gaussian lines), SPInn (indices).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest

from . import fits
from .catalogs import read_catalog
from .skipped import Skipped

DONOTUSE = 1 << 30
_DEFAULT = (
    "SPX_ELLCOO", "STELLAR_VEL", "STELLAR_SIGMA", "STELLAR_SIGMACORR", "EMLINE_GFLUX", "EMLINE_GEW", "EMLINE_GVEL",
    "EMLINE_GSIGMA", "EMLINE_INSTSIGMA", "SPECINDEX",
)  # fmt: skip
_LINES = {"h_alpha": "Ha-6564", "h_beta": "Hb-4862", "oiii_5007": "OIII-5008", "nii_6583": "NII-6585"}
_VECTOR_NAMES = (("EMLINE_S", "ELS"), ("EMLINE_G", "ELG"), ("SPECINDEX", "SPI"))


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of one galaxy: arrays float64 [channel, y, x] with NaN where unusable, and the names of their channels."""

    plateifu: str
    redshift: float
    maps: dict[str, np.ndarray]
    channels: dict[str, tuple[str, ...]]

    def map(self, name: str, channel: str | int = 0) -> np.ndarray:
        """One map [y, x]; DataError names the nearest if there is none of that name."""
        if name not in self.maps:
            raise DataError(f'{self.plateifu} has no map "{name}"; {suggest(name, self.maps)}')
        if isinstance(channel, str):
            if channel not in self.channels[name]:
                raise DataError(
                    f'{self.plateifu}: {name} has no channel "{channel}"; {suggest(channel, self.channels[name])}'
                )
            channel = self.channels[name].index(channel)
        return self.maps[name][channel]

    def corrected(self, name: str = "STELLAR_SIGMA", channel: str | int = 0) -> np.ndarray:
        """Dispersion [y, x] without the instrument [km s-1]; NaN where the correction exceeds the measurement."""
        correction = {"STELLAR_SIGMA": "STELLAR_SIGMACORR", "EMLINE_GSIGMA": "EMLINE_INSTSIGMA"}[name]
        square = self.map(name, channel) ** 2 - self.map(correction, channel) ** 2
        return np.sqrt(np.where(square > 0, square, np.nan))


def read_maps(path: str | Path, names: tuple[str, ...] = _DEFAULT) -> Maps:
    """manga-PLATE-IFU-MAPS-DAPTYPE.fits.gz; maps of `names` that the file lacks are left out.

    Raises:
        DataError: not a MAPS file, or damaged.
    """
    path = Path(path)
    maps, channels = {}, {}
    with fits.open_fits(path) as hdus:
        there = {hdu.name.upper(): hdu for hdu in hdus}
        for name in names:
            if name not in there:
                continue
            values = fits.array_of(there[name], path).astype(np.float64)
            if f"{name}_MASK" in there:
                mask = np.asarray(there[f"{name}_MASK"].data, np.int64)
                values = np.where(mask & DONOTUSE, np.nan, values)
            maps[name] = values if values.ndim == 3 else values[None]
            channels[name] = _channels(there[name].header, len(maps[name]))
        header = hdus[0].header
        plateifu = str(header.get("PLATEIFU", "")).strip() or _plateifu(path)
        redshift = float(header.get("SCINPVEL", np.nan)) / 299792.458  # cz [km s-1] the DAP started from
    if not maps:
        raise DataError(f"{path} holds none of the maps {', '.join(names[:4])}, ...", hint="give a MANGA DAP MAPS file")
    return Maps(plateifu, redshift, maps, channels)


def _channels(header, n: int) -> tuple[str, ...]:
    """Names of the channels C1 or C01 ...; their numbers where there are none."""
    width = len(str(n))
    return tuple(str(header.get(f"C{i + 1:0{width}d}", header.get(f"C{i + 1:02d}", i))).strip() for i in range(n))


def _plateifu(path: Path) -> str:
    found = re.match(r"manga-(\d+-\d+)", path.name)
    return found[1] if found else path.name.split(".")[0]


def features(maps: Maps, radius: float = 1.0) -> dict[str, float | str]:
    """Within `radius` effective radii: summed line fluxes, mean equivalent widths, dispersions and Dn4000, spread of the
    stellar velocity; NaN where nothing is measured."""
    inside = (
        maps.map("SPX_ELLCOO", 1) < radius if "SPX_ELLCOO" in maps.maps and len(maps.maps["SPX_ELLCOO"]) > 1 else None
    )
    found: dict[str, float | str] = {"plateifu": maps.plateifu, "redshift": maps.redshift}

    def within(values: np.ndarray) -> np.ndarray:
        values = values[inside] if inside is not None else values.ravel()
        return values[np.isfinite(values)]

    for name, channel in _LINES.items():
        for short, key, reduce in (("flux", "EMLINE_GFLUX", np.sum), ("ew", "EMLINE_GEW", np.mean)):
            has = key in maps.maps and channel in maps.channels[key]
            values = within(maps.map(key, channel)) if has else np.empty(0)
            found[f"{short}_{name}"] = float(reduce(values)) if values.size else np.nan
    for name, values in (
        (
            "sigma_star",
            maps.corrected("STELLAR_SIGMA") if {"STELLAR_SIGMA", "STELLAR_SIGMACORR"} <= set(maps.maps) else None,
        ),
        ("dn4000", maps.map("SPECINDEX", "Dn4000") if "Dn4000" in maps.channels.get("SPECINDEX", ()) else None),
    ):
        kept = np.empty(0) if values is None else within(values)
        found[name] = float(np.mean(kept)) if kept.size else np.nan
    velocity = within(maps.map("STELLAR_VEL")) if "STELLAR_VEL" in maps.maps else np.empty(0)
    found["vel_range"] = float(np.subtract(*np.percentile(velocity, [97.5, 2.5]))) if velocity.size > 1 else np.nan
    return found


def read_maps_folder(folder: str | Path) -> tuple[pd.DataFrame, Skipped]:
    """`features` of every MAPS file in a folder, indexed by plateifu, and the files left out."""
    paths = sorted(Path(folder).rglob("manga-*-MAPS-*.fits*"))
    if not paths:
        raise DataError(f"{folder} holds no manga-*-MAPS-*.fits files")
    skipped, rows = Skipped("MAPS files"), {}
    for path in paths:
        try:
            row = features(read_maps(path))
        except DataError as error:
            skipped.add(str(error).replace(str(path), "").strip(), path.name)
            continue
        if row["plateifu"] in rows:
            skipped.add("a second analysis of the same galaxy", path.name)
        rows.setdefault(row["plateifu"], row)
    if not rows:
        raise DataError(f"none of {len(paths)} MAPS files can be used: {'; '.join(skipped.lines())}")
    return pd.DataFrame(list(rows.values())).set_index("plateifu"), skipped


def read_dapall(path: str | Path, daptype: str | None = None) -> pd.DataFrame:
    """DAPall of one analysis type, one row per galaxy that was analysed, indexed by plateifu.

    Elements of vectors are named by line or index: EMLINE_GFLUX_1RE_Ha-6564. -999 is NaN.

    Args:
        daptype: extension name, such as HYB10-MILESHC-MASTARHC2; None takes the first.

    Raises:
        DataError: not a DAPall file, or no such type.
    """
    path = Path(path)
    with fits.open_fits(path) as hdus:
        header = hdus[0].header
        number = fits.extension_number(path, hdus, daptype, fits.table_extensions(hdus))
        frame = fits.frame_of(hdus[number], path)
        names = {prefix: _elements(header, key) for prefix, key in _VECTOR_NAMES}
    columns = {name.upper(): name for name in frame.columns}
    if "PLATEIFU" not in columns:
        raise DataError(f"{path} has no column PLATEIFU", hint="give a DAPall file")
    notes = list(frame.attrs.get("sciml_notes", []))
    frame = frame.rename(columns={old: _named(old, names) for old in frame.columns})
    if "DAPDONE" in frame:
        undone = frame["DAPDONE"].astype(int) == 0
        if undone.any():
            notes.append(f"{int(undone.sum())} galaxies that were not analysed are left out")
        frame = frame[~undone]
    frame = frame.assign(**{n: frame[n].mask(frame[n] == -999.0) for n in frame.columns if frame[n].dtype.kind == "f"})
    index = pd.Index(frame[columns["PLATEIFU"]].astype(str).str.strip(), name="plateifu")
    frame = frame.set_axis(index, axis=0)
    frame = frame[~frame.index.duplicated()]
    frame.attrs["sciml_notes"] = notes
    return frame


def _elements(header, key: str) -> dict[int, str]:
    """{0: 'OII-3727', ...} from ELG01, ELG02, ...; the units ELGU01 stand beside them."""
    found = {}
    for name in header:
        match = re.fullmatch(rf"{key}(\d+)", name)
        if match:
            found[int(match[1]) - 1] = str(header[name]).strip()
    return found


def _named(column: str, names: dict[str, dict[int, str]]) -> str:
    match = re.fullmatch(r"(.+)_(\d+)", column)
    if match:
        for prefix, elements in names.items():
            if column.upper().startswith(prefix) and int(match[2]) in elements:
                return f"{match[1]}_{elements[int(match[2])]}"
    return column


def read_visual_morphology(path: str | Path) -> pd.DataFrame:
    """The MaNGA visual morphology catalogue (Vazquez-Mata et al. 2022, MNRAS 512, 2222), indexed by plateifu or mangaid."""
    frame = read_catalog(path)
    folded = {name.casefold(): name for name in frame.columns}
    column = next((folded[n] for n in ("plateifu", "mangaid") if n in folded), None)
    if column is None or not {"type", "tidal"} & set(folded):
        raise DataError(f"{path} is not a visual morphology catalogue: it lacks plateifu or mangaid, Type and tidal")
    frame = frame.set_axis(pd.Index(frame[column].astype(str).str.strip(), name=column.casefold()), axis=0)
    return frame[~frame.index.duplicated()]
