"""The layout is a law: who may import whom, what a package holds, how long a function may be."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("cli", "pipelines", "kernels")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
INITS = [path for path in SOURCES if path.name == "__init__.py"]
MODULES = [path for path in SOURCES if path.name not in ("__init__.py", "__main__.py")]

SHARED = {"settings", "errors", "registry", "run", "page", "measurements", "progress", "checkpoint", "provenance", "option_checks"}
PIPELINES = {"galaxy", "kd", "gcm"}
TORCH = {"galaxy", "kd"}  # they share how torch uses the machine
ARRAYS = {"flax", "jax", "matplotlib", "numpy", "optax", "pandas", "sklearn", "statmorph", "timm", "torch", "xarray"}
SCREEN = {"typer", "rich"}
# Frameworks that a part must never load, at any level of the code.
NEVER = {
    "pipelines/readers": {"torch", "jax", "flax", "optax", "timm"} | SCREEN,
    "pipelines/compute": {"jax", "flax", "optax"} | SCREEN,
    "pipelines/kd": {"jax", "flax", "optax"} | SCREEN,
    "pipelines/galaxy": {"jax", "flax", "optax"} | SCREEN,
    "pipelines/gcm": {"torch", "timm", "statmorph"} | SCREEN,
    "pipelines": SCREEN,
    "kernels": SCREEN,
    "cli": {"click"},
}
MOST_LINES, MOST_FUNCTION_LINES = 500, 60


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def at_module_level(tree: ast.Module):
    """Statements that run on import: function bodies are left out, `if TYPE_CHECKING` and `try` are not."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def imported(nodes, path: Path) -> set[str]:
    """Every module the nodes of the file import, e.g. {"numpy", "sciml.pipelines.errors"}."""
    found = set()
    folders = ("sciml", *path.relative_to(ROOT).parts[:-1])
    packages = {".".join(("sciml", *init.parent.relative_to(ROOT).parts)) for init in INITS}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = folders[: len(folders) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from sciml.cli import runs` names a module, `from sciml.cli.runs import app` an object in one
            found |= {f"{module}.{alias.name}" for alias in node.names} if module in packages else {module}
    return found


def foreign(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules if not name.startswith("sciml.")}


def is_settings(module: str) -> bool:
    return module == "settings" or module.endswith("_settings")


def allowed(path: Path, target: str, module_level: bool) -> bool:
    """Whether the file may import the sciml module `target`."""
    part = path.relative_to(ROOT).parts
    _, top, *rest = target.split(".")
    inner = rest[0] if rest else ""
    if part[0] == "kernels":
        return top == "kernels"
    if part[0] == "cli":
        if top == "cli" or (top == "pipelines" and inner in SHARED) or not module_level:
            return True
        return top == "pipelines" and inner in PIPELINES and len(rest) > 1 and is_settings(rest[1])
    if top == "cli":
        return False
    if len(part) == 2:  # a module all pipelines share
        return top == "pipelines" and inner in SHARED
    if part[1] in ("readers", "compute"):
        return top == "pipelines" and inner in {part[1], "errors"}
    if part[1] in TORCH and inner == "compute":
        return True
    return top == "kernels" or inner in SHARED | {"readers", "timm_import", part[1]}


def test_there_is_something_to_check():
    assert len(MODULES) > 10


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_import_law(path):
    tree = tree_of(path)
    for nodes, module_level in ((at_module_level(tree), True), (ast.walk(tree), False)):
        targets = imported(nodes, path)
        wrong = [name for name in targets if name.startswith("sciml.") and not allowed(path, name, module_level)]
        assert not wrong, f"{name_of(path)} may not import {', '.join(wrong)}"
        for folder, banned in NEVER.items():
            if name_of(path).startswith(folder + "/"):
                assert not foreign(targets) & banned, f"{name_of(path)}: not in {folder}/"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_frameworks_wait_until_they_are_needed(path):
    """The command line, the settings and what all pipelines share load nothing but the standard library and Typer."""
    part = path.relative_to(ROOT).parts
    if not (part[0] == "cli" or len(part) == 2 and part[0] == "pipelines" or is_settings(path.stem)):
        return
    loaded = foreign(imported(at_module_level(tree_of(path)), path))
    accepted = set(sys.stdlib_module_names) | (SCREEN if part[0] == "cli" else set())
    assert loaded <= accepted, f"{name_of(path)} loads {', '.join(sorted(loaded - accepted))} on import"


def test_the_package_list_is_the_folders():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    inits = sorted(path.parent.relative_to(ROOT) for path in INITS)
    assert sorted(setuptools["packages"]) == ["sciml." + ".".join(folder.parts) for folder in inits]
    assert {path.parent.relative_to(ROOT) for path in SOURCES} == set(inits), "a folder of modules has no __init__.py"


@pytest.mark.parametrize("path", INITS, ids=name_of)
def test_an_init_is_its_docstring(path):
    body = tree_of(path).body
    assert len(body) == 1 and ast.get_docstring(tree_of(path))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_stay_readable(path):
    assert not re.fullmatch(r"(utils?|helpers?|common|misc)\.py", path.name), "a name that says nothing"
    tree = tree_of(path)
    assert ast.get_docstring(tree), "a module says in one sentence what it models"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_root_command_catches_everything(path):
    if name_of(path) == "cli/main.py":
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            names = {getattr(part, "id", "") for part in ast.walk(node.type)} if node.type else {"Exception"}
            assert not names & {"Exception", "BaseException"}, f"line {node.lineno} hides bugs"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_has_its_tests(path):
    inner = path.relative_to(ROOT)
    assert (ROOT / "tests" / inner.with_name(f"test_{inner.name}")).exists()


def test_the_wheel_owns_one_name(tmp_path):
    """A flat install would overwrite other people's `cli`, `pipelines` and `kernels`.

    Built from the source distribution, which must hold all that the optional extensions need: they would be left out without a word.
    """
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    for folder in FOLDERS:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", project]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"sciml"}
    shipped = {name for name in names if name.endswith(".py")}
    assert shipped == {"sciml/" + name_of(path) for path in SOURCES}
    if shutil.which("cc"):
        compiled = {name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))}
        sources = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.c"))
        assert compiled == {f"sciml/{path.relative_to(ROOT).with_suffix('')}" for path in sources}
