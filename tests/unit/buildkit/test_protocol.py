"""The messages are what the .proto files say: made of them, and not by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"
PROTOCOL = Path("sampan/buildkit/protocol")


def test_generated_code_is_that_of_the_files(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    protos = sorted(str(path.relative_to(SOURCE)) for path in (SOURCE / PROTOCOL).glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, *protos], cwd=SOURCE, check=True)
    for made in (tmp_path / PROTOCOL).iterdir():
        # A later protoc writes its version into what it makes.
        kept = (SOURCE / PROTOCOL / made.name).read_text()
        assert _unversioned(made.read_text()) == _unversioned(kept), f"run scripts/protocol: {made.name} is old"


def _unversioned(text: str) -> list[str]:
    numbers = {"Protobuf Python Version", "_runtime_version"}
    return [
        line
        for line in text.splitlines()
        if not line.strip().rstrip(",").isdigit() and not any(n in line for n in numbers)
    ]
