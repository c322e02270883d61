"""The unit files say what docs/design.md promises of them, and systemd understands them."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "packaging" / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((UNITS / name).read_text())
    return parser


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("KillMode", "process"),
        ("Delegate", "yes"),
        ("OOMScoreAdjust", "-500"),
        ("LimitNOFILE", "1024:524288"),
        ("TasksMax", "infinity"),
        ("Restart", "on-failure"),
    ],
)
def test_the_service(key: str, value: str) -> None:
    assert unit("sampan.service")["Service"][key] == value


def test_the_service_takes_the_socket_of_systemd() -> None:
    service = unit("sampan.service")
    assert service["Service"]["ExecStart"].split()[1:] == ["-H", "fd://"]
    assert service["Unit"]["Requires"] == "sampan.socket"
    assert "sampan.socket" in service["Unit"]["After"].split()


def test_the_socket_is_open_to_its_group_only() -> None:
    socket = unit("sampan.socket")["Socket"]
    assert socket["ListenStream"] == "/run/sampan/sampan.sock"
    assert (socket["SocketMode"], socket["SocketUser"], socket["SocketGroup"]) == ("0660", "root", "sampan")
    # Otherwise a stop of the service would take the socket from a container that has it mounted.
    assert "RemoveOnStop" not in socket
    assert (UNITS / "sampan.sysusers.conf").read_text().splitlines()[-1].split() == ["g", "sampan", "-"]


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (package systemd)"
)
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name in ("sampan.service", "sampan.socket"):
        # systemd-analyze wants the program to exist.
        text = (UNITS / name).read_text().replace("/usr/local/bin/sampand", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "sampan.service"), str(tmp_path / "sampan.socket")],
        capture_output=True,
        text=True,
        timeout=30,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "sampan" in line]
    assert ours == []
