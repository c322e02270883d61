"""Every flag of the machine's `docker`, for each command that Sampan has, is accepted here or refused by name."""

import re
import subprocess

import pytest

from sampan.cli import registry
from sampan.cli.options import Option
from tests.daemons import entry_point, scrubbed_environment
from tests.requires import requires

OWN = {
    "setup",
    "completion",
    "system check",
    "system check-host",
    "system debug",
    "builder df",
    "builder du",
    "builder mount-export",
    "builder mount-import",
    "mount",
    "umount",
    "container mount",
    "container umount",
    "rootless check",
    "rootless setup",
    "rootless start",
    "rootless stop",
    "volume export",
    "volume import",
}
PATHS = sorted(path for row in registry.COMMANDS for path in registry.spellings(row) if path not in OWN)
NOT_DOCKERS = {"bars", "cgroup-conf", "carry-out", "check", "clear", "explain", "gidmap", "plan", "rules", "uidmap"}
BUILDX = set(
    """
    allow annotation attest build-context cache-to call load metadata-file no-cache-filter output progress provenance push
    sbom secret ssh
    """.split()
)
"""Those of `docker build` where its buildx plugin is installed."""
FLAG = re.compile(r"^\s+(?:-(?P<short>\w), |    )--(?P<name>[\w-]+)(?: (?P<kind>[\w-]+))?", re.MULTILINE)


def docker_flags(path: str) -> dict[str, tuple[str, bool]]:
    """name → (short, whether it takes a value), from `docker PATH --help`."""
    done = subprocess.run(
        ["docker", *path.split(), "--help"], capture_output=True, text=True, check=True, env=scrubbed_environment()
    )
    section = done.stdout.partition("Options:\n")[2]
    lines = [line for line in section.splitlines() if re.match(r"^  (-\w,|   ) ?--", line)]
    found = {}
    for line in lines:
        match = FLAG.match(line)
        assert match is not None, line
        kind = match["kind"] if line[match.end("name") :].startswith(f" {match['kind']} ") else None
        found[match["name"]] = (match["short"] or "", kind is not None)
    return found


def own_options(path: str) -> dict[str, Option]:
    return {option.name: option for option in registry.load(path).options}


@requires("docker-client:28")
@pytest.mark.parametrize("path", PATHS)
def test_has_every_flag_of_docker(path: str) -> None:
    options = own_options(path)
    theirs = {name: flag for name, flag in docker_flags(path).items() if name != "help"}
    ours = {name: (option.short, option.kind != "bool") for name, option in options.items() if name in theirs}
    assert ours == theirs


@requires("docker-client:28")
@pytest.mark.parametrize("path", PATHS)
def test_invents_no_flag(path: str) -> None:
    more = BUILDX if path.endswith("build") else set()
    assert own_options(path).keys() - docker_flags(path).keys() - NOT_DOCKERS - more == set()


REFUSED = [(path, option.name) for path in PATHS for option in own_options(path).values() if option.refused]


@pytest.mark.parametrize(("path", "name"), REFUSED)
def test_refuses_by_name(path: str, name: str) -> None:
    option = own_options(path)[name]
    value = "false" if option.default is True else "true" if option.kind == "bool" else "1"
    done = subprocess.run(
        [*entry_point("sampan"), *path.split(), f"--{name}={value}", "x"],
        capture_output=True,
        text=True,
        env=scrubbed_environment(),
    )
    assert done.returncode == 125
    assert f"--{name} is not implemented: {option.refused}" in done.stderr


@requires("docker-client:28")
def test_every_command_of_docker_is_known() -> None:
    """A command that docker has is either there or answered "not implemented", never "unknown"."""
    unknown = []
    for group in ("", "container", "image", "network", "volume", "system"):
        done = subprocess.run(["docker", *group.split(), "--help"], capture_output=True, text=True, check=True)
        for word in re.findall(r"^  ([a-z]+)\*? {2,}[A-Z]", done.stdout, re.MULTILINE):
            path = f"{group} {word}".strip()
            if path not in PATHS and path not in registry.MISSING and path not in registry.GROUPS:
                unknown.append(path)
    assert unknown == []
