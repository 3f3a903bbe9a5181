"""Tiny files in the layouts of the surveys and simulations, for tests, examples and smoke runs.

Every writer returns the path it wrote. The numbers are made up; names, axes, units and extensions are those of the
readers of the same name (sdss, manga, illustris, skirt, multimodal_universe), where their sources stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from PIL import Image

from .illustris import BANDS
from .tng_snapshots import H

MAPS_LINES = ("Hb-4862", "OIII-5008", "Ha-6564", "NII-6585")


def picture(path: Path, seed: int = 0, size: int = 48, bands: int = 3, level: float = 1.0) -> Path:
    """A picture (JPEG, PNG ...) of a blurred blob on noise, told from others by its seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    blob = np.exp(-(x**2 + (y * random.uniform(1, 2)) ** 2) / (0.02 * size**2))
    clumps = random.normal(size=(8, 8)).repeat(-(-size // 8), 0).repeat(-(-size // 8), 1)[:size, :size]
    image = np.clip(30 + level * 150 * blob + 12 * clumps + random.normal(0, 3, (size, size)), 0, 255).astype(np.uint8)
    pixels = image if bands == 1 else np.stack([image] * bands, axis=-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def spectrum(path: Path, objid: str, z: float = 0.1, ew: float = 20.0) -> Path:
    """An SDSS spec-lite file with a flat continuum of 10 and one line, H alpha, of the equivalent width `ew` [A]."""
    loglam = np.arange(3.58, 3.96, 1e-4)
    flux = np.full(len(loglam), 10.0, np.float32)
    coadd = fits.BinTableHDU.from_columns(
        [fits.Column(n, "E", array=a) for n, a in (("flux", flux), ("loglam", loglam), ("ivar", np.ones(len(loglam))))]
        + [fits.Column("and_mask", "J", array=np.zeros(len(loglam), np.int32))],
        name="COADD",
    )
    row = [
        fits.Column("PLATE", "J", array=[266]), fits.Column("MJD", "J", array=[51630]),
        fits.Column("FIBERID", "J", array=[1]), fits.Column("PLUG_RA", "D", array=[10.0]),
        fits.Column("PLUG_DEC", "D", array=[-1.0]), fits.Column("CLASS", "6A", array=["GALAXY"]),
        fits.Column("Z", "E", array=[z]), fits.Column("ZWARNING", "J", array=[0]),
        fits.Column("VDISP", "E", array=[150.0]), fits.Column("VDISP_ERR", "E", array=[10.0]),
        fits.Column("BESTOBJID", "19A", array=[objid]),
    ]  # fmt: skip
    lines = [
        fits.Column("LINENAME", "13A", array=["H_alpha", "H_beta", "[N_II] 6583"]),
        fits.Column("LINEAREA", "E", array=[10 * ew, 5.0, 7.0]), fits.Column("LINEAREA_ERR", "E", array=[1.0, -1.0, 1.0]),
        fits.Column("LINEEW", "E", array=[ew, 1.0, 2.0]), fits.Column("LINEEW_ERR", "E", array=[1.0, -1.0, 1.0]),
        fits.Column("LINENPIXLEFT", "J", array=[5, 5, 0]), fits.Column("LINENPIXRIGHT", "J", array=[5, 5, 0]),
    ]  # fmt: skip
    tables = (fits.BinTableHDU.from_columns(c, name=n) for n, c in (("SPECOBJ", row), ("SPZLINE", lines)))
    fits.HDUList([fits.PrimaryHDU(), coadd, *tables]).writeto(path, overwrite=True)
    return path


def manga_maps(path: Path, plateifu: str, size: int = 6, flux: float = 2.0) -> Path:
    """A MaNGA MAPS file: half the spaxels within one effective radius, one of them masked."""
    n = len(MAPS_LINES)
    radius = np.stack(
        [np.zeros((size, size)), np.linspace(0, 2, size * size).reshape(size, size), np.zeros((size, size))]
    )
    primary = fits.PrimaryHDU()
    primary.header["PLATEIFU"], primary.header["SCINPVEL"] = plateifu, 0.03 * 299792.458
    hdus = [primary, fits.ImageHDU(radius, name="SPX_ELLCOO")]

    def add(name: str, values: np.ndarray, channels: Sequence[str] = ()) -> None:
        hdu = fits.ImageHDU(values.astype(np.float32), name=name)
        for i, channel in enumerate(channels, 1):
            hdu.header[f"C{i:02d}"] = channel
        mask = np.zeros(values.shape, np.int32)
        mask[..., 0, 0] = 1 << 30
        hdus.extend([hdu, fits.ImageHDU(mask, name=f"{name}_MASK")])

    plane, lines = np.ones((size, size)), np.ones((n, size, size))
    add("EMLINE_GFLUX", flux * lines, MAPS_LINES)
    add("EMLINE_GEW", 3.0 * lines, MAPS_LINES)
    add("STELLAR_VEL", np.linspace(-100, 100, size * size).reshape(size, size))
    add("STELLAR_SIGMA", 50.0 * plane)
    hdus.append(fits.ImageHDU((30.0 * plane).astype(np.float32), name="STELLAR_SIGMACORR"))
    add("SPECINDEX", np.stack([1.5 * plane, 2.0 * plane]), ("D4000", "Dn4000"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def dapall(path: Path, plateifus: Sequence[str], daptype: str = "HYB10-MILESHC-MASTARHC2") -> Path:
    """A MaNGA DAPall table; the last galaxy was not analysed, the dispersion of the first was not measured."""
    n = len(plateifus)
    primary = fits.PrimaryHDU()
    for i, name in enumerate(MAPS_LINES, 1):
        primary.header[f"ELG{i:02d}"], primary.header[f"ELS{i:02d}"] = name, name
    primary.header["SPI01"], primary.header["SPI02"] = "D4000", "Dn4000"
    columns = [
        fits.Column("PLATEIFU", "12A", array=list(plateifus)), fits.Column("DAPDONE", "L", array=[True] * (n - 1) + [False]),
        fits.Column("STELLAR_SIGMA_1RE", "D", array=[-999.0] + [120.0] * (n - 1)),
        fits.Column("EMLINE_GFLUX_1RE", f"{len(MAPS_LINES)}D", array=np.arange(n * len(MAPS_LINES)).reshape(n, -1)),
        fits.Column("SPECINDEX_1RE", "2D", array=np.full((n, 2), 1.6)),
    ]  # fmt: skip
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name=daptype)]).writeto(path, overwrite=True)
    return path


def group_catalogue(
    folder: Path, snapshot: int, masses: Sequence[float], pieces: int = 2, redshift: float = 0.1
) -> Path:
    """Pieces of a TNG group catalogue; `masses` of the stars [Msun], 0 for a subhalo without any."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = np.array_split(np.asarray(masses, float), pieces)
    for number, part in enumerate(parts):
        n = len(part)
        with h5py.File(folder / f"fof_subhalo_tab_{snapshot:03d}.{number}.hdf5", "w") as file:
            header = file.create_group("Header")
            header.attrs.update({"Nsubgroups_Total": len(masses), "Nsubgroups_ThisFile": n, "Redshift": redshift})
            if not n:
                continue
            mass, size = np.zeros((n, 6), np.float32), np.zeros((n, 6), np.float32)
            mass[:, 4], size[:, 4] = part * H / 1e10, 10.0
            group = file.create_group("Subhalo")
            group["SubhaloMassInRadType"], group["SubhaloHalfmassRadType"] = mass, size
            light = np.tile(-20.0 - np.arange(len(BANDS)), (n, 1))
            group["SubhaloStellarPhotometrics"] = np.where(part[:, None] > 0, light, 1e37).astype(np.float32)
            group["SubhaloVelDisp"] = np.full(n, 80.0, np.float32)
            group["SubhaloFlag"] = (part > 0).astype(np.int16)
    return folder


def star_particles(path: Path, n: int = 20, wind: int = 3, scale: float = 0.9) -> Path:
    """A TNG cutout: n stars born at half the present scale factor, and some wind particles."""
    with h5py.File(path, "w") as file:
        file.create_group("Header").attrs.update({"Time": scale, "HubbleParam": H, "Redshift": 1 / scale - 1})
        group = file.create_group("PartType4")
        group["Coordinates"] = np.full((n + wind, 3), 100.0 * H)
        group["Velocities"] = np.ones((n + wind, 3), np.float32)
        group["Masses"] = np.full(n + wind, 1e-4 * H, np.float32)
        group["GFM_StellarFormationTime"] = np.r_[np.full(n, scale / 2), np.full(wind, -0.5)].astype(np.float32)
        group["GFM_Metallicity"] = np.full(n + wind, 0.02, np.float32)
        group["GFM_StellarPhotometrics"] = np.full((n + wind, 8), -5.0, np.float32)
    return path


def merger_history(path: Path, fields: Mapping[str, Sequence[float]], group: str = "") -> Path:
    """A TNG merger history file; row i is subhalo i. `group`: "WithConstraint" where the fields lie in that group."""
    with h5py.File(path, "w") as file:
        place = file.create_group(group) if group else file
        for name, values in fields.items():
            place[name] = np.asarray(values)
    return path


def skirt_cube(path: Path, wavelengths: Sequence[float] = (0.5, 0.6, 0.8), size: int = 8, unit: str = "micron") -> Path:
    """A native SKIRT instrument: frame k holds the value k."""
    cube = np.ones((len(wavelengths), size, size), np.float32) * np.arange(len(wavelengths))[:, None, None]
    primary = fits.PrimaryHDU(cube)
    primary.header.update({"BUNIT": "MJy/sr", "CDELT1": -0.5, "CUNIT1": "arcsec", "CDELT2": 0.5, "CUNIT2": "arcsec"})
    grid = fits.Column("GRID_POINTS", "D", unit=unit, array=np.asarray(wavelengths, float))
    table = fits.BinTableHDU.from_columns([grid], name="Z-axis coordinate values")
    fits.HDUList([primary, table]).writeto(path, overwrite=True)
    return path


def hsc_mock(folder: Path, snapshot: int, subhalo: int, view: int = 0, size: int = 24, bands: str = "GRI") -> Path:
    """A realistic TNG mock of Hyper Suprime-Cam with variance, mask and PSF beside each band."""
    random = np.random.default_rng(1000 * snapshot + 10 * subhalo + view)
    hdus = [fits.PrimaryHDU()]
    for number, band in enumerate(bands):
        image = (random.normal(size=(size, size)) + number).astype(np.float32)
        hdus.append(fits.ImageHDU(image, name=f"SUBARU_HSC.{band}"))
        hdus[-1].header.update({"REDSHIFT": 0.05, "RA": 150.0 + subhalo, "DEC": 2.0, "APMAG": 17.5})
        hdus.append(fits.ImageHDU(np.full((size, size), 0.1, np.float32), name=f"SUBARU_HSC.{band} VARIANCE"))
        hdus.append(fits.ImageHDU(np.zeros((size, size), np.int32), name=f"SUBARU_HSC.{band} MASK"))
        hdus.append(fits.ImageHDU(np.ones((5, 5), np.float32), name=f"SUBARU_HSC.{band} PSF"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"shalo_{snapshot:03d}-{subhalo}_v{view}_HSC_GRIZY.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def universe(
    folder: Path, per_file: Sequence[Sequence[str]], bands: Sequence[str] = ("g", "r", "z"), size: int = 12
) -> Path:
    """MultimodalUniverse: one HDF5 file per healpix cell with the given object ids; image k holds the value k."""
    place = 0
    for cell, ids in enumerate(per_file):
        path = folder / f"healpix={cell + 100}" / "001-of-001.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        n = len(ids)
        values = np.arange(place, place + n, dtype=np.float32)
        place += n
        with h5py.File(path, "w") as file:
            file["object_id"] = np.array(ids, dtype="S")
            file["ra"], file["dec"], file["Z"] = np.linspace(10, 11, n), np.linspace(-1, 1, n), 0.01 * values
            file["image_array"] = np.ones((n, len(bands), size, size), np.float32) * values[:, None, None, None]
            file["image_band"] = np.tile(np.array(bands, dtype="S"), (n, 1))
            file["image_psf_fwhm"] = np.ones((n, len(bands)), np.float32)
            wavelength = np.tile(np.r_[np.linspace(4000, 5000, 20), -1, -1], (n, 1))
            file["spectrum_lambda"], file["spectrum_flux"] = wavelength, np.ones_like(wavelength)
            file["spectrum_ivar"] = np.ones_like(wavelength)
    return folder


def galaxy10(path: Path, n: int = 20, size: int = 16, seed: int = 0) -> Path:
    """Galaxy10_DECals.h5 with n small images; classes 0 (disturbed) to 9 in turn."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file["images"] = random.integers(0, 255, (n, size, size, 3), dtype=np.uint8)
        file["ans"] = np.arange(n, dtype=np.uint8) % 10
        file["ra"], file["dec"] = random.uniform(0, 360, n), random.uniform(-30, 30, n)
        file["redshift"], file["pxscale"] = random.uniform(0, 0.3, n), np.full(n, 0.262)
    return path
