"""IllustrisTNG: group catalogues, star particles, and merger histories turned into labels with windows in Gyr.

Units of the files (TNG data specification; Nelson et al. 2019, ComAC 6, 2): masses 1e10 Msun/h, lengths comoving kpc/h,
velocities of particles km s-1 sqrt(a), h = 0.6774. In a merger history (Rodriguez-Gomez et al. 2017; Eisert et al. 2023)
the row is the Subfind ID; SnapNumLastMajorMerger and its relatives hold a snapshot number, -1 for none; a file may keep
them in a group "WithConstraint". Cosmology: Planck Collaboration 2016 XIII as in TNG, ages from the snapshot redshifts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, SettingsError, suggest

from . import files
from .hdf5 import open_hdf5
from .tng_snapshots import REDSHIFTS, H, age_gyr, snapshot_ages

BANDS = ("U", "B", "V", "K", "g", "r", "i", "z")  # SubhaloStellarPhotometrics, in this order, absolute magnitudes
STARS = 4  # particle type
CLASSES = ("non", "pre", "post")


# --- group catalogues


def _parts(path: Path, pattern: str) -> list[Path]:
    """The pieces of a catalogue in numeric order: a folder, one file, or any piece of several."""
    if path.is_dir():
        found = [p for p in path.glob("*.hdf5") if re.match(pattern, p.name)]
    else:
        files.require_file(path)
        several = re.fullmatch(r"(.+_\d+)\.(\d+)\.hdf5", path.name)
        found = list(path.parent.glob(f"{several[1]}.*.hdf5")) if several else [path]
    if not found:
        raise DataError(
            f"{path} holds no {pattern.split('_')[0]}... HDF5 files", hint="name the folder or one of its files"
        )
    return sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)])


def read_subhalos(path: str | Path, fields: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, float]]:
    """Galaxies of a group catalogue, indexed by Subfind ID (text), and its header (redshift, snapshot).

    Columns: log_mstar [Msun] and rhalf_star [physical kpc] of the stars, mag_<band> absolute, vel_disp [km s-1], sfr
    [Msun yr-1] within twice rhalf, log_mgas [Msun], z_gas and z_star [mass fraction], flag (0: not a galaxy), parent;
    a mass of zero is NaN. `fields` adds columns of the file as they are.

    Raises:
        DataError: pieces missing, no subhalos, or no such field.
    """
    path = Path(path)
    wanted = {
        "SubhaloMassInRadType", "SubhaloHalfmassRadType", "SubhaloStellarPhotometrics", "SubhaloVelDisp",
        "SubhaloSFRinRad", "SubhaloGasMetallicity", "SubhaloStarMetallicity", "SubhaloFlag", "SubhaloParent",
    }  # fmt: skip
    pieces, headers = [], []
    for part in _parts(path, r"(fof_subhalo_tab|groups)_"):
        with open_hdf5(part) as file:
            try:
                headers.append({k: np.asarray(v).item() for k, v in file["Header"].attrs.items() if np.size(v) == 1})
                pieces.append(_fields(file.get("Subhalo", {}), wanted, fields, part))
            except files.ENGINE_ERRORS as error:
                raise files.damaged(part, error) from error
    total = headers[0].get("Nsubgroups_Total")
    data = {k: np.concatenate([p[k] for p in pieces if k in p]) for k in {k for p in pieces for k in p}}
    n = max((len(values) for values in data.values()), default=0)
    if total is not None and n != total:
        raise DataError(
            f"{path}: {n} of {int(total)} subhalos, {len(pieces)} files: pieces are missing", hint="download them all"
        )
    if n == 0:
        raise DataError(f"{path} holds no subhalos")
    redshift = float(headers[0].get("Redshift", np.nan))
    frame = _physical(data, redshift, n)
    for name in fields:
        values = data[name]
        frame |= {name: values} if values.ndim == 1 else {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    number = re.search(r"_(\d{3})\b", path.name)
    header = {"redshift": redshift, "snapshot": float(number[1]) if number else np.nan}
    return pd.DataFrame(frame, index=pd.Index(np.arange(n).astype(str), name="subfind_id")), header


def _fields(group, wanted: set[str], extra: Sequence[str], part: Path) -> dict[str, np.ndarray]:
    for name in extra:
        if len(group) and name not in group:
            raise DataError(f'{part} has no field "{name}"; {suggest(name, list(group))}')
    return {name: group[name][()] for name in sorted(wanted | set(extra)) if name in group}


def _physical(data: Mapping[str, np.ndarray], redshift: float, n: int) -> dict[str, np.ndarray]:
    """Physical units; see `read_subhalos`."""
    nothing = np.full(n, np.nan)
    mass = np.asarray(data.get("SubhaloMassInRadType", np.full((n, 6), np.nan)), float) * 1e10 / H
    size = np.asarray(data.get("SubhaloHalfmassRadType", np.full((n, 6), np.nan)), float) / H / (1 + redshift)
    light = np.asarray(data.get("SubhaloStellarPhotometrics", np.full((n, 8), np.nan)), float)
    light = np.where(np.abs(light) > 1e3, np.nan, light)  # 1e37 stands for a subhalo without stars
    with np.errstate(divide="ignore"):
        logs = {
            name: np.log10(np.where(mass[:, k] > 0, mass[:, k], np.nan))
            for name, k in (("log_mstar", STARS), ("log_mgas", 0))
        }
    plain = {
        "vel_disp": "SubhaloVelDisp", "sfr": "SubhaloSFRinRad", "z_gas": "SubhaloGasMetallicity",
        "z_star": "SubhaloStarMetallicity", "flag": "SubhaloFlag", "parent": "SubhaloParent",
    }  # fmt: skip
    return {
        **logs, "rhalf_star": np.where(size[:, STARS] > 0, size[:, STARS], np.nan),
        **{f"mag_{band}": light[:, i] for i, band in enumerate(BANDS)},
        **{name: np.asarray(data.get(field, nothing), float) for name, field in plain.items()},
    }  # fmt: skip


# --- star particles


@dataclass(frozen=True, eq=False)
class Stars:
    """Star particles: position [n, 3] physical kpc, velocity [n, 3] km s-1, mass [n] Msun, age [n] Gyr, metallicity [n]
    mass fraction, magnitude [n, 8] absolute in `BANDS` (NaN where the file has none); wind particles are left out."""

    position: np.ndarray
    velocity: np.ndarray
    mass: np.ndarray
    age: np.ndarray
    metallicity: np.ndarray
    magnitude: np.ndarray
    redshift: float
    wind: int


def read_stars(path: str | Path) -> Stars:
    """Stars of a snapshot piece or of a cutout file.

    Raises:
        DataError: no star particles, or coordinates, masses or formation times are missing ("mini" snapshots 92-98
            keep fewer fields).
    """
    path = Path(path)
    with open_hdf5(path) as file:
        try:
            group = file.get(f"PartType{STARS}")
            if group is None or "Coordinates" not in group:
                raise DataError(f"{path} holds no star particles (PartType4/Coordinates)")
            lacking = [n for n in ("Masses", "GFM_StellarFormationTime") if n not in group]
            if lacking:
                raise DataError(
                    f"{path} lacks PartType4/{lacking[0]}", hint="mini snapshots (92 to 98) keep fewer fields"
                )
            header = dict(file["Header"].attrs) if "Header" in file else {}
            data = {name: group[name][()] for name in group if name in _STAR_FIELDS}
        except files.ENGINE_ERRORS as error:
            raise files.damaged(path, error) from error
    scale = float(header.get("Time", 1.0 / (1.0 + float(header.get("Redshift", 0.0)))))
    formed = data["GFM_StellarFormationTime"].astype(float)
    real = formed > 0  # a wind particle has a formation time of zero or less
    n = len(formed)
    column = lambda name, width: data.get(name, np.full((n, width) if width else n, np.nan))[real].astype(float)  # noqa: E731
    return Stars(
        position=column("Coordinates", 3) * scale / H,
        velocity=column("Velocities", 3) * np.sqrt(scale),
        mass=column("Masses", 0) * 1e10 / H,
        age=age_gyr(1 / scale - 1) - age_gyr(1 / formed[real] - 1),
        metallicity=column("GFM_Metallicity", 0),
        magnitude=column("GFM_StellarPhotometrics", 8),
        redshift=1 / scale - 1,
        wind=int((~real).sum()),
    )


_STAR_FIELDS = {
    "Coordinates",
    "Velocities",
    "Masses",
    "GFM_StellarFormationTime",
    "GFM_Metallicity",
    "GFM_StellarPhotometrics",
}


# --- merger histories


@dataclass(frozen=True)
class Windows:
    """Time windows [Gyr]: pre, post, and the time around a non-merger that must be free of mergers."""

    pre: float = 0.5
    post: float = 0.5
    clean: float = 1.0

    def __post_init__(self):
        if not (self.pre > 0 and self.post > 0 and self.clean >= max(self.pre, self.post)):
            raise SettingsError(
                f"windows pre {self.pre}, post {self.post}, clean {self.clean} Gyr: must be positive, clean the longest"
            )


def merger_history(
    path: str | Path,
    snapshot: int | None = None,
    *,
    windows: Windows = Windows(),  # noqa: B008  (frozen)
    minor: bool = False,
    redshifts: Mapping[int, float] | str | Path | None = None,
) -> pd.DataFrame:
    """Labels from one merger history file, one row per subhalo, indexed by Subfind ID (text).

    A galaxy is "post" if its last merger is at most windows.post ago, "pre" if its next is at most windows.pre ahead
    (the nearer of the two where both hold), "non" if no merger, major or minor, is nearer than windows.clean on either
    side, and "" (no class) otherwise. Where the simulation ends within windows.clean, "non" cannot be known: "".

    Args:
        snapshot: default: the number in the file name.
        minor: mergers of stellar mass ratio 1:10 to 1:4 make "pre" and "post" too.
        redshifts: of the snapshots, where they are not those of TNG.

    Returns:
        Columns snapshot, redshift, label, gyr_since, gyr_until (of the kind that counts; NaN: none), gyr_since_any,
        gyr_until_any, log_mass_last [Msun]; `attrs["sciml_notes"]` says what the windows mean in snapshots.

    Raises:
        DataError: the fields are missing, numbers are no snapshots, or the number of the snapshot is unknown.
    """
    path = Path(path)
    snapshot = _snapshot(path) if snapshot is None else snapshot
    ages = snapshot_ages(redshifts)
    if snapshot not in ages:
        raise DataError(f"snapshot {snapshot} has no redshift; known are {min(ages)} to {max(ages)}")
    fields = _history_fields(path)
    since_major, until_major = (_gyr(fields, f"{which}Major", snapshot, ages, path) for which in ("Last", "Next"))
    since_minor, until_minor = (_gyr(fields, f"{which}Minor", snapshot, ages, path) for which in ("Last", "Next"))
    since_any, until_any = np.fmin(since_major, since_minor), np.fmin(until_major, until_minor)
    since, until = (since_any, until_any) if minor else (since_major, until_major)
    remaining = ages[max(ages)] - ages[snapshot]
    label = _classify(since, until, since_any, until_any, windows, remaining)
    mass = np.asarray(fields.get("MassLastMajorMerger", np.full(len(since), np.nan)), float)
    table = (dict(enumerate(REDSHIFTS)) if redshifts is None else None) or {}
    frame = pd.DataFrame(
        {
            "snapshot": snapshot, "redshift": table.get(snapshot, np.nan), "label": label, "gyr_since": since, "gyr_until": until,
            "gyr_since_any": since_any, "gyr_until_any": until_any,
            "log_mass_last": np.log10(np.where(mass > 0, mass * 1e10 / H, np.nan)),
        },
        index=pd.Index(np.arange(len(since)).astype(str), name="subfind_id"),
    )  # fmt: skip
    frame.attrs["sciml_notes"] = _history_notes(frame, windows, snapshot, ages, remaining)
    return frame


def _snapshot(path: Path) -> int:
    found = re.findall(r"\d+", path.stem)
    if not found or not 0 <= int(found[-1]) <= 999:
        raise DataError(f"{path}: the name holds no snapshot number", hint="give it with --snapshot")
    return int(found[-1])


def _history_fields(path: Path) -> dict[str, np.ndarray]:
    """Datasets of the file, or of its group WithConstraint, checked to be of one length."""
    with open_hdf5(path) as file:
        group = file
        if "SnapNumLastMajorMerger" not in file:
            group = next(
                (g for g in file.values() if isinstance(g, h5py.Group) and "SnapNumLastMajorMerger" in g), None
            )
        if group is None:
            present = sorted(file)[:8]
            raise DataError(
                f"{path} has no field SnapNumLastMajorMerger; it has {', '.join(present) or 'nothing'}",
                hint="a merger history has SnapNumLastMajorMerger and SnapNumNextMajorMerger; its row is the Subfind ID",
            )
        try:
            fields = {name: group[name][()] for name in group if re.match(r"(SnapNum|Mass)(Last|Next)M", name)}
        except files.ENGINE_ERRORS as error:
            raise files.damaged(path, error) from error
    lengths = {name: len(values) if values.ndim == 1 else -1 for name, values in fields.items()}
    if len(set(lengths.values())) > 1 or -1 in lengths.values():
        raise DataError(f"{path}: the fields differ in length: {lengths}")
    return fields


def _gyr(
    fields: Mapping[str, np.ndarray], which: str, snapshot: int, ages: Mapping[int, float], path: Path
) -> np.ndarray:
    """Time between the snapshot and the merger [Gyr], NaN for none; a field that is missing means none is known."""
    n = len(next(iter(fields.values())))
    values = np.asarray(fields.get(f"SnapNum{which}Merger", np.full(n, -1)))
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, -1)
    if values.dtype.kind not in "iuf" or np.any(values != np.round(values)):
        raise DataError(f"{path}: SnapNum{which}Merger does not hold snapshot numbers")
    values = values.astype(np.int64)
    real = values >= 0
    wrong = real & ((values > snapshot) if which.startswith("Last") else (values < snapshot)) | real & ~np.isin(
        values, list(ages)
    )
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path}: SnapNum{which}Merger is {values[row]} in row {row}, which is not {'before' if which.startswith('Last') else 'after'} "
            f"snapshot {snapshot}",
            hint="check --snapshot",
        )
    table = np.full(max(ages) + 1, np.nan)
    table[list(ages)] = list(ages.values())
    return np.where(real, np.abs(table[np.where(real, values, 0)] - ages[snapshot]), np.nan)


def _classify(since, until, since_any, until_any, windows: Windows, remaining: float) -> np.ndarray:
    post, pre = since <= windows.post, until <= windows.pre  # NaN compares False
    nearer_post = post & (~pre | (since <= until))
    clean = ~(since_any <= windows.clean) & ~(until_any <= windows.clean)
    known = remaining >= windows.clean or np.isfinite(
        until_any
    )  # a later merger shows that the future is quiet until then
    return np.select([nearer_post, pre, clean & known], ["post", "pre", "non"], "")


def _history_notes(
    frame: pd.DataFrame, windows: Windows, snapshot: int, ages: Mapping[int, float], remaining: float
) -> list[str]:
    counts = frame["label"].value_counts()
    notes = ["; ".join(f"{counts.get(name, 0):,} {name or 'without a class'}" for name in (*CLASSES, ""))]
    before = sum(ages[snapshot] - age <= windows.post for n, age in ages.items() if n <= snapshot)
    after = sum(age - ages[snapshot] <= windows.pre for n, age in ages.items() if n > snapshot)
    notes.append(f"the windows hold {before} snapshots back (this one included) and {after} ahead")
    if remaining < windows.clean:
        notes.append(
            f"the simulation ends {remaining:.2f} Gyr after snapshot {snapshot}, less than the {windows.clean:g} Gyr a non-merger "
            'must stay quiet: "non" is only given where a later merger is known'
        )
    if remaining < windows.pre:
        notes.append(f"pre-mergers are complete up to {remaining:.2f} Gyr only, not {windows.pre:g} Gyr")
    return notes
