"""A new weather station: 400 days of its own observations, six years of forecasts for the place.

Trains the same LSTM autoencoder on the observations alone and with the forecast archive as its teacher, prints both scores,
and leaves the report with its figures in runs/.  Runs on a laptop in about a minute: python examples/distill_station.py
"""

import sys
import tempfile
from pathlib import Path

from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.synthetic import write_kd_files


class Shout(Progress):
    """Print what the pipeline says."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    warn = note


def main() -> Path:
    """Synthesize, distil, report; returns the report page."""
    with tempfile.TemporaryDirectory() as folder:
        nwp, obs = write_kd_files(Path(folder), days=2192, observed_days=400, stations=1, leads_hours=(24, 48))
        run = fit(Fit(teacher=nwp, observations=obs, seeds=2, workers=2), progress=Shout())
    results = run.read_json("results.json")
    for row in results["scores"]:
        spread = "" if row["rmse_sd"] is None else f" ± {row['rmse_sd']:.2f}"
        print(f"{row['label']:32s} {row['rmse']:6.2f}{spread} {results['unit']}")
    print(results["comparison"]["verdict"]["text"])
    return run.path / "report" / "index.html"


if __name__ == "__main__":  # training processes import this file again
    print(main())
