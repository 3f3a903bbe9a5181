"""Which column is what, told from its name: identifier, position, label, vote, nuisance, file, or something to learn from.

A nuisance is what the sample was chosen by or how it was observed: a model that reads it learns the survey, not the
galaxy. Redshift belongs here too; it is a selection in nearly every merger sample.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

from sciml.pipelines.readers.catalogs import is_id_name
from sciml.pipelines.readers.galaxy_zoo import is_vote

# kind of nuisance -> names; matched against the whole name, regardless of case
NUISANCE = {
    "snapshot": r"snap(shot)?(_?num(ber)?)?|snapnum",
    "redshift": r"redshift(_err)?|z_?(spec|phot|best|err)|spec_?z|photo?_?z|z_?warning|scale_?factor|dist(ance)?(_mpc)?|lookback.*",
    "position": r"(plug_|obj|ifu)?(ra|dec)(j2000|_deg|deg)?|r\.?a\.?|decl(ination)?|glon|glat|healpix|l_gal|b_gal",
    "observation": r"plate(id)?|mjd|fiber(id)?|run|rerun|camcol|field|airmass|exp(osure)?_?time|seeing.*|psf.*|chip|ccd|tile"
    r"|nexp|date.*|night|ifu(design.*)?|plateifu|mangaid",
    "sky noise": r"sky.*|.*_sky|noise.*|.*noise(_mean|_variance)?|background.*|bkg.*|depth.*|sn_?median.*|s/?n|snr(_.*)?|sn_per_pixel"
    r"|weight",
    "sample": r"sample|survey|release|source|origin|catalog(ue)?|split|fold|set|camera|view|orientation|simulation",
    "processing": r"runtime|flag.*|.*_flag|num_badpixels|n[xy]_stamp|[xy](min|max)_stamp|pixel_?scale|pxscale|hdu|.*_hdu|version",
}  # fmt: skip
# probed by the audit, but a model may see them
APPARENT_MAGNITUDE = (
    r"(app|apparent_?|model|petro|cmodel|fiber|psf|auto|kron)_?mag.*|mag(_(auto|aper|iso|petro|psf|model).*)?"
    r"|mag(nitude)?_?[ugrizyjhk]|[ugrizy]_?mag|m_?r"
)
# what a merger history says of a galaxy: labels are made of it
_HISTORY = re.compile(r"^(gyr_(since|until)(_any)?|log_mass_last|(snapnum|mass)(last|next)(major|minor)?merger)$", re.I)
_LABEL = re.compile(
    r"^(label|class|phase|stage|target|truth|ans(wer)?|merger(_?(stage|phase|type|label|class))?|is_?merger|y)([_.].*)?$",
    re.I,
)
_PATH = re.compile(
    r"^(image|img|file|file_?(name|loc|path)|path|url|png|jpe?g|thumb(nail)?|.*_(file_?name|path|loc|url))$", re.I
)
_COMPILED = {kind: re.compile(rf"^({expression})$", re.I) for kind, expression in NUISANCE.items()}
_MAGNITUDE = re.compile(rf"^({APPARENT_MAGNITUDE})$", re.I)
_MOST_VALUES = 50  # a text column with more values names objects, it does not sort them


def nuisance_kind(name: str, others: Collection[str] = ()) -> str | None:
    """Kind of nuisance, or None; `z` is a redshift unless the table has g, r or i beside it."""
    if name.strip().casefold() == "z":
        return None if {"g", "r", "i", "u"} & _folded(others) else "redshift"
    return next((kind for kind, expression in _COMPILED.items() if expression.match(name.strip())), None)


def _folded(names: Collection[str]) -> set[str]:
    return {str(name).strip().casefold() for name in names}


def is_magnitude(name: str) -> bool:
    """True for an apparent magnitude: usable, but its distribution must not tell the classes apart."""
    return bool(_MAGNITUDE.match(name.strip()))


def bears_label(name: str, others: Collection[str] = ()) -> bool:
    """True for a column that is a label, or votes from which labels are made; `y` is a band beside g, r, i or z."""
    if name.strip().casefold() == "y" and {"g", "r", "i", "z"} & _folded(others):
        return False
    return is_vote(name) or bool(_LABEL.match(name.strip()) or _HISTORY.match(name.strip()))


def is_path(name: str) -> bool:
    """True for a column that names files."""
    return bool(_PATH.match(name.strip()))


def why_withheld(name: str, cells: pd.Series, others: Collection[str] = ()) -> str | None:
    """Reason to keep a column from the model, or None: a label, a file, a name, or nothing in it."""
    if bears_label(name, others):
        return "label or votes"
    if is_path(name):
        return "file name"
    if is_id_name(name):
        return "identifier"
    known = cells.dropna()
    if not len(known):
        return "every cell is missing"
    if known.nunique() == 1 and len(known) == len(cells):
        return "the same value everywhere"
    if cells.dtype.kind not in "iufb" and known.nunique() > min(_MOST_VALUES, max(2, len(known) // 2)):
        return "text with a value of its own in most rows"
    return None


def first_named(columns: Collection[str], *names: str) -> str | None:
    """The first of `names` among the columns, regardless of case."""
    folded = {str(column).strip().casefold(): column for column in columns}
    return next((folded[name.casefold()] for name in names if name.casefold() in folded), None)


def position_columns(columns: Collection[str]) -> tuple[str, str] | None:
    """Names of right ascension and declination, or None."""
    for ra, dec in (("ra", "dec"), ("plug_ra", "plug_dec"), ("objra", "objdec"), ("ra_deg", "dec_deg"), ("raj2000", "dej2000"),
                    ("right_ascension", "declination"), ("alpha_j2000", "delta_j2000")):  # fmt: skip
        found = first_named(columns, ra), first_named(columns, dec)
        if None not in found:
            return found
    return None
