"""Builds for another machine where binfmt_misc has an emulator: here alone, for what is registered is the whole machine's.

The emulator is a stand-in that shows which program it was given: it is about who runs it, and where it was found.
"""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.building import Built, build, members, output, told
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox")

REGISTER = Path("/proc/sys/fs/binfmt_misc")
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44) + b"arm64 was run\n"
RULE = (
    r":sampan-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[None]:
    """Registered with F: opened now, so that containers need not have it."""
    subprocess.run(["modprobe", "binfmt_misc"], check=False)
    if not (REGISTER / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(REGISTER)], check=True)
    # busybox is what it is called.
    stand_in = tmp_path / "cat"
    shutil.copy("/bin/busybox", stand_in)
    (REGISTER / "register").write_text(f"{RULE}{stand_in}:F")
    yield
    (REGISTER / "sampan-arm64").write_text("-1")


def said(built: Built) -> bytes:
    """All that the build's programs wrote."""
    return b"".join(base64.b64decode(str(event["data"])) for event in told(built) if event.get("type") == "log")


def test_a_program_for_another_machine_is_run_by_its_emulator(engine: Sampan, emulator: None) -> None:
    text = 'FROM scratch\nARG TARGETARCH\nCOPY --chmod=755 $TARGETARCH /program\nRUN ["/program"]\n'
    files = {"arm64": PROGRAM, "amd64": Path("/bin/busybox").read_bytes()}
    query: dict[str, Any] = {"progress": "json", "outputs": [{"Type": "tar"}], "nocache": "1"}
    built = build(engine, text, files, platform="linux/arm64", **query)
    assert b"arm64 was run" in said(built)
    assert members(output(built))["program"] == PROGRAM
    both = build(engine, text.replace('RUN ["/program"]', ""), files, platform="linux/arm64,linux/amd64", **query)
    assert members(output(both))["linux_arm64/program"] == PROGRAM


def test_a_part_of_a_stage_is_bound_before_linux_6_15(engine: Sampan) -> None:
    text = (
        "FROM busybox AS other\nRUN mkdir -p /a/b && echo below > /a/b/file && ln -s /a/b/file /a/link\nRUN echo top > /top\n"
        "FROM busybox\n"
        "RUN --mount=type=bind,from=other,source=/a/b,target=/part --mount=type=bind,from=other,target=/whole"
        " --mount=type=bind,from=other,source=/a/link,target=/link cat /part/file /whole/top /link; ! touch /part/new\n"
        "RUN --mount=type=bind,from=other,source=/a,target=/own,rw echo new > /own/b/new && cat /own/b/file /own/b/new\n"
        "RUN --mount=type=bind,from=other,source=/a/b,target=/part ls /part\n"
    )
    built = build(engine, text, nocache="1")
    assert not built.error, built.lines[-3:]
    assert "below\ntop\nbelow\n" in built.text.replace("\r", "")
    assert "below\nnew\n" in built.text
    assert built.text.count("file\n") == 1, "what one step wrote is not there for another"
