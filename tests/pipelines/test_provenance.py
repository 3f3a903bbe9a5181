"""Provenance: commit of the checkout only, versions without an import, fingerprints by content."""

import subprocess
from pathlib import Path

import pytest

from sciml.pipelines import provenance
from sciml.pipelines.errors import DataError


def test_versions_skip_what_is_not_installed():
    found = provenance.versions(["numpy", "surely-not-installed"])
    assert list(found) == ["numpy"]


def test_commit_is_none_outside_a_checkout(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    package = tmp_path / "site-packages" / "sciml" / "pipelines"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert provenance.commit() is None


def test_commit_marks_a_changed_checkout(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    (tmp_path / "pyproject.toml").write_text("one")
    (tmp_path / "pipelines").mkdir()
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "pipelines" / "provenance.py"))
    clean = provenance.commit()
    assert len(clean) == 40
    (tmp_path / "pyproject.toml").write_text("two")
    assert provenance.commit() == clean + "+changes"


def test_fingerprint_of_a_missing_file_names_it():
    with pytest.raises(DataError, match="absent.nc: cannot be read"):
        provenance.fingerprint(Path("absent.nc"))
