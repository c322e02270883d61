"""The runtime specification's own suite (opencontainers/runtime-tools, `validation`), whole, with runc beside it.

Its sources are not fetched: a checkout is to lie at `.build/runtime-tools`, at 27bf223 or before where Go is Debian 12's. Some of
its checks are older than the specification or at fault themselves. No check may fail that runc passes, but for those that are
named here with the reason, which docs/oci.md gives at length.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemons import PROJECT, entry_point
from tests.requires import requires

pytestmark = requires("root", "mount-interface", "pidns", "netns", "runc")

TOOLS = PROJECT / ".build/runtime-tools"
SOURCES = sorted(path.parent.name for path in TOOLS.glob("validation/*/*.go") if path.stem == path.parent.name)
ORDER = r"mounts\[\d+\] \(.*\) found in order"
KNOWN = {
    "linux_ns_itype": r"cannot run validation tests: .*",
    "linux_ns_path": r"set mnt namespace by path",
    "linux_uid_mappings": ORDER,
    "mounts": ORDER,
    "pidfile": r"create with '--pid-file' option works",
    "process_capabilities": r"expected \w+ capability CAP_SYS_RESOURCE set",
}
"""Checks that may fail here and not with runc, by program."""
_BAD = re.compile(r"^not ok \d+ - (.*)$", re.MULTILINE)
_ANY = re.compile(r"^(?:not )?ok \d+", re.MULTILINE)


@pytest.fixture(scope="module")
def tools() -> Path:
    """The checkout, with the program that looks around inside containers."""
    if not (TOOLS / "validation").is_dir():
        pytest.skip(f"{TOOLS} has no checkout of opencontainers/runtime-tools")
    if shutil.which("go") is None:
        pytest.skip("there is no go: apt-get install golang-go")
    build(TOOLS, "runtimetest", "./cmd/runtimetest")
    return TOOLS


def build(tools: Path, output: str, source: str) -> None:
    settings = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=vendor",
        "GOCACHE": str(tools.parent / "go-cache"),
        "GOPROXY": "off",
    }
    command = ["go", "build", "-tags", "netgo osusergo", "-ldflags", "-s -w", "-o", output, source]
    subprocess.run(command, cwd=tools, env={**os.environ, **settings}, check=True, timeout=900)


def played(tools: Path, name: str, runtime: str) -> tuple[set[str], int, int]:
    """The checks that failed, how many there were (some programs speak only when all is not well), and the exit code."""
    done = subprocess.run(
        [f"validation/{name}.t"],
        cwd=tools,
        env={**os.environ, "RUNTIME": runtime},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    return set(_BAD.findall(text)), len(_ANY.findall(text)), done.returncode


def test_each_reason_is_told() -> None:
    text = (PROJECT / "docs/oci.md").read_text()
    assert [name for name in KNOWN if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_check_fails_that_runc_passes(tools: Path, name: str) -> None:
    build(tools, f"validation/{name}.t", f"./validation/{name}/{name}.go")
    ours, *outcome = played(tools, name, entry_point("sampan-oci")[0])
    runcs, *expected = played(tools, name, shutil.which("runc", path="/usr/sbin:/usr/bin") or "runc")
    print(f"{name}: {len(ours)} of {outcome[0]} fail, with runc {len(runcs)} of {expected[0]}")
    more = ours - runcs
    if name in KNOWN:
        assert [check for check in more if not re.fullmatch(KNOWN[name], check)] == []
        return
    assert sorted(more) == []
    # Where runc fails, fewer checks may be told of than here.
    assert outcome == expected or runcs > ours
