"""Packages of drivers, installed by pip into a directory of a test's own."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples" / "drivers"

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sampan-test-{module}"
version = "1.0.0"

[project.entry-points."{group}"]
{name} = "{module}:{what}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""


def install(into: Path, *packages: Path) -> None:
    """`pip install` of source directories, without the network: what builds them is in the environment of the tests."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [
            *command,
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
            str(into),
            *map(str, packages),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def package(place: Path, group: str, name: str, what: str, code: str) -> Path:
    """A source directory whose one module declares `what` as the driver `name`."""
    module = f"sampan_test_{name}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "pyproject.toml").write_text(_PROJECT.format(group=group, name=name, module=module, what=what))
    (place / f"{module}.py").write_text(code)
    return place
