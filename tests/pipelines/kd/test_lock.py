"""One process at a time works in a run folder; a dead one leaves nothing behind that would be in the way."""

import subprocess
import sys
import textwrap

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.lock import held
from sciml.pipelines.kd.settings import Fit

HOLDER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from sciml.pipelines.kd.lock import held
    with held(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
""")


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_told_who_holds_it(holder, tmp_path):
    with pytest.raises(DataError, match=f"process {holder.pid} on ") as caught, held(tmp_path):
        raise AssertionError
    assert "wait" in caught.value.hint
    with pytest.raises(DataError, match=f"process {holder.pid} on "):
        fit(Fit(resume=tmp_path))


def test_a_killed_process_locks_nobody_out(holder, tmp_path):
    holder.kill()
    holder.wait()
    with held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_what_a_living_process_is_writing_stays(holder, tmp_path):
    """Resuming clears half-written files away; those of a living process are not left over."""
    for name in ("settings.toml", "environment.json", "status.json"):
        (tmp_path / name).write_text("{}" if name.endswith("json") else "")
    (tmp_path / "x.tmp").write_text("half")
    with pytest.raises(DataError, match="is at work in it"):
        fit(Fit(resume=tmp_path))
    assert (tmp_path / "x.tmp").exists()


def test_no_folder_no_lock(tmp_path):
    with held(tmp_path / "nothing"):
        pass
    assert not (tmp_path / "nothing").exists()
