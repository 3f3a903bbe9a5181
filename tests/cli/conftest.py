"""What tests of `sciml gcm` share: most run in this process, where JAX is loaded and its programs are compiled already."""

import pytest

from sciml.cli.main import main


@pytest.fixture
def run_here(capsys):
    """`run_here("rollout", ...)` -> (exit code, stdout, stderr) of `sciml gcm ...` in this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["gcm", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run
