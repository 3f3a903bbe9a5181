"""The estimate of a run's sizes grows with members, frames and outputs, and its file size is that of the file."""

from dataclasses import replace

from sciml.pipelines.gcm.neural import rollout_memory
from sciml.pipelines.gcm.neural.rollout_memory import estimate
from sciml.pipelines.gcm.settings import Rollout

BASE = Rollout(model="neuralgcm-ens-1.4", random_weights=True, days=1, every_hours=6)


def test_sizes_grow_with_what_is_asked_for(as_neural):
    base = estimate(BASE)
    assert base["steps"] == 24 and base["frames"] == 5 and base["grid"] == "64 x 32 x 6" and base["memory_GB"] > 0.5
    assert estimate(replace(BASE, members=4))["memory_GB"] > base["memory_GB"]
    assert estimate(replace(BASE, members=4))["file_GB"] > 3.9 * base["file_GB"]
    assert estimate(replace(BASE, output_levels=("500",)))["file_GB"] < 0.31 * base["file_GB"]
    assert estimate(replace(BASE, outputs=("default", "tendencies")))["file_GB"] > 1.5 * base["file_GB"]


def test_on_a_cpu_columns_count_for_as_many_members_as_there_are_cores(as_neural, monkeypatch):
    def grown(cores):
        monkeypatch.setattr(rollout_memory, "cores", lambda: cores)
        few, many = (estimate(replace(BASE, members=n, device="cpu")) for n in (2, 6))
        return round(many["memory_GB"] - few["memory_GB"], 6)

    assert grown(1) == grown(2) < grown(4) < grown(6) == grown(64)


def test_it_can_be_printed_before_a_run(as_neural):
    from sciml.pipelines.gcm.rollout import dry_run

    assert dry_run(BASE)["sizes"]["model"] == "neuralgcm-ens-1.4"
