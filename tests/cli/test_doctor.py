"""`sciml doctor` reports what is broken instead of breaking, and exits 5 then."""

import json
from pathlib import Path

import pytest

from sciml.cli import doctor
from sciml.cli.main import main


@pytest.fixture
def only(monkeypatch):
    """Replaces the probes by the given ones."""
    return lambda **probes: monkeypatch.setattr(doctor, "_PROBES", probes)


def report(capsys, *arguments, code=0):
    assert main(["doctor", *arguments]) == code
    return capsys.readouterr()


def test_quick_checks_files_and_disk_without_the_frameworks(capsys):
    found = json.loads(report(capsys, "--quick", "--json").out)
    assert found["broken"] == []
    assert set(found["checks"]) == {"packages", "netcdf", "checkpoint", "zarr", "run folder"}
    assert found["checks"]["packages"]["found"]["torch"].startswith("2.")
    assert {"python", "processors", "memory", "disk"} <= set(found["machine"])


def test_people_get_tables_and_a_verdict(only, capsys):
    only(netcdf="found = {'h5netcdf': 'writes'}")
    out, _ = report(capsys)
    assert "netcdf      ok     h5netcdf writes" in out
    assert out.endswith("ready\n")


@pytest.mark.parametrize(
    ("probe", "found"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process crashed with signal 11"),
        ("raise ImportError('libcuda.so is missing')", "ImportError: libcuda.so is missing"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_a_broken_framework_is_reported_with_exit_code_5(only, capsys, probe, found):
    only(torch=probe, netcdf="found = {}")
    out, err = report(capsys, code=5)
    assert f"torch BROKEN {found}" in " ".join(out.split())
    assert "not ready: torch" in out
    assert f"warning: torch: {found}; install again" in err


def test_a_probe_without_an_answer_is_reported(only, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS", 0.5)
    only(jax="import time; time.sleep(60)")
    assert "no answer within 0.5 s" in report(capsys, code=5).out


def test_chatter_of_a_framework_does_not_spoil_the_json(only, capsys):
    only(torch="print('hello from a plugin'); found = {'version': '2'}")
    assert json.loads(report(capsys, "--json").out)["checks"]["torch"] == {"ok": True, "found": {"version": "2"}}


def test_an_unwritable_folder_is_reported(only, capsys, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    only()
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    out, _ = report(capsys, code=5)
    assert f"cannot write into {Path.cwd()}: Permission denied" in out


def test_a_missing_package_is_named(only, capsys, monkeypatch):
    only()
    monkeypatch.setattr(
        doctor, "requires", lambda name: ["numpy>=2", "surely-not-installed>=1", "zarr; extra == 'zarr'"]
    )
    out, err = report(capsys, code=5)
    assert "surely-not-installed  missing" in out
    assert "warning: packages: surely-not-installed; pip install surely-not-installed" in err


@pytest.mark.slow
def test_all_frameworks_answer(capsys):
    found = json.loads(report(capsys, "--json").out)
    assert found["checks"]["torch"]["found"]["devices"]
    assert found["checks"]["jax"]["found"]["devices"]
    assert found["checks"]["timm"]["found"]["models"] > 500
