"""A forecast with a NeuralGCM model, from Python: python examples/neuralgcm_forecast.py [CHECKPOINT.pkl ERA5.nc]

Without files it runs the paper's 2.8 degree configuration with untrained weights from a simulated analysis, six hours:
that shows how everything is called, and no weather.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from sciml.pipelines.gcm.rollout import rollout
from sciml.pipelines.gcm.settings import Rollout

out = Path("neuralgcm_forecast.nc")
common = {
    "every_hours": 3,
    "outputs": ("default", "surface", "water", "omega"),
    "to": out,
    "overwrite": True,
    "report": False,
}
if len(sys.argv) == 3:
    checkpoint, analysis = sys.argv[1:]
    settings = Rollout(checkpoint=Path(checkpoint), initial=analysis, days=3, **common)
else:
    settings = Rollout(model="neuralgcm-2.8", random_weights=True, days=0.25, **common)

run = rollout(settings)  # the same as `sciml gcm rollout ...`: a run folder, frames, checkpoints, metrics
print(f"{run.read_json('results.json')['title']}: frames in {out}")

with xr.open_dataset(out, engine="h5netcdf") as forecast:
    last = forecast.isel(prediction_timedelta=-1)
    hours = int(last.prediction_timedelta / np.timedelta64(1, "h"))
    panels = [
        ("500 hPa height [dam]", last.geopotential.sel(level=500) / 98.0616, "viridis", None),
        ("850 hPa temperature [K]", last.temperature.sel(level=850), "plasma", None),
        ("mean sea level pressure [hPa]", last.mean_sea_level_pressure / 100, "cividis", None),
        ("precipitation minus evaporation [mm/day]", 86400 * last.precipitation_minus_evaporation, "BrBG", 16),
    ]
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), sharex=True, sharey=True, layout="constrained")
    for axis, (title, field, colours, limit) in zip(axes.flat, panels, strict=True):
        span = {} if limit is None else {"vmin": -limit, "vmax": limit}
        image = axis.pcolormesh(field.longitude, field.latitude, field, cmap=colours, **span)
        axis.set_title(f"{title}, +{hours} h", loc="left", fontsize=10)
        figure.colorbar(image, ax=axis)
    figure.savefig("neuralgcm_forecast.png", dpi=110)
    sound = all(bool(np.isfinite(forecast[name]).all()) for name in forecast.data_vars)
    print(f"{len(forecast.data_vars)} variables, all finite: {sound}; picture in neuralgcm_forecast.png")
