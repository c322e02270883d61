"""Drivers that pip has installed: used by name with the `docker` command, each in a process of its own."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan, refused_start, running_sampan
from tests.installing import EXAMPLES, install, package
from tests.waiting import eventually

_BROKEN = "raise SystemExit('this driver cannot be imported')\n"
_HANGING = """\
import time


class Driver:
    scope = "local"

    def __init__(self, home):
        pass

    def create(self, name, options):
        if name == "dies":
            import os

            os.kill(os.getpid(), 9)
        raise ValueError("no volumes today: " + "x" * 100_000)

    def volume(self, name):
        raise LookupError(name)

    def volumes(self):
        return []
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("drivers")
    wrong = [
        package(base / "broken", "sampan.volume", "broken", "Driver", _BROKEN),
        package(base / "wordy", "sampan.volume", "wordy", "Driver", _HANGING),
    ]
    install(base / "site", *sorted(EXAMPLES.iterdir()), *wrong)
    return base / "site"


@pytest.fixture(scope="module")
def engine(installed: Path) -> Iterator[Sampan]:
    with running_sampan(within=("env", f"PYTHONPATH={installed}")) as started:
        started.load_busybox()
        yield started


def _process(engine: Sampan, name: str) -> list[int]:
    """Of the driver `name` of this daemon."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sampan.drivers.host" in words and words[-3:-1] == [
            name.encode(),
            str(engine.data_root / "drivers" / name).encode(),
        ]:
            found.append(int(pid))
    return found


def test_no_process_before_it_is_asked_for(engine: Sampan) -> None:
    assert engine.docker("volume", "create", "plain").code == 0
    assert _process(engine, "broken") == []


def test_a_volume_of_its_own(engine: Sampan) -> None:
    made = engine.docker("volume", "create", "-d", "shelf", "-o", "mode=0750", "books")
    assert made.text == "books", made.err
    shown = engine.docker("volume", "inspect", "--format", "{{.Driver}} {{.Status.mode}}", "books")
    assert shown.text == "shelf 0750", shown.err
    written = engine.docker("run", "--rm", "-v", "books:/books", "busybox", "sh", "-c", "echo read >/books/me")
    assert written.code == 0, written.err
    read = engine.docker("run", "--rm", "-v", "books:/books", "busybox", "cat", "/books/me")
    assert read.text == "read", read.err
    assert "shelf" in engine.docker("volume", "ls", "--format", "{{.Driver}}").text
    assert len(_process(engine, "shelf")) == 1
    refused = engine.docker("volume", "create", "-d", "shelf", "-o", "size=1g", "more")
    assert "no such option: size (there is: mode=OCTAL)" in refused.err.decode()
    assert engine.docker("volume", "rm", "books").code == 0


def test_it_is_started_again_when_it_died(engine: Sampan) -> None:
    assert engine.docker("volume", "create", "-d", "shelf", "first").code == 0
    (pid,) = _process(engine, "shelf")
    eventually(lambda: _age(pid) > 5.5, seconds=15)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _process(engine, "shelf") == [], seconds=10)
    shown = engine.docker("volume", "inspect", "--format", "{{.Name}} {{.Driver}}", "first")
    assert shown.text == "first shelf", shown.err
    assert _process(engine, "shelf") not in ([], [pid])
    assert engine.docker("volume", "rm", "first").code == 0


def test_one_that_cannot_be_imported_is_said_so(engine: Sampan) -> None:
    refused = engine.docker("volume", "create", "-d", "broken", "never", timeout=60)
    assert refused.code == 1
    assert "broken" in refused.err.decode()
    assert "this driver cannot be imported" in engine.log.read_text()
    # Nor does every further call start it anew.
    eventually(lambda: _process(engine, "broken") == [], seconds=10)
    again = engine.docker("volume", "create", "-d", "broken", "never", timeout=60)
    assert "its process ended with 1 as soon as it had begun" in again.err.decode()


def test_one_that_dies_or_babbles_is_only_its_own_trouble(engine: Sampan) -> None:
    refused = engine.docker("volume", "create", "-d", "wordy", "some")
    assert "no volumes today" in refused.err.decode()
    assert len(refused.err) < 8192
    died = engine.docker("volume", "create", "-d", "wordy", "dies", timeout=60)
    assert died.code == 1
    assert engine.docker("volume", "create", "-d", "shelf", "still").code == 0
    assert engine.docker("volume", "rm", "still").code == 0


def test_they_go_with_the_daemon(engine: Sampan) -> None:
    assert engine.docker("volume", "create", "-d", "shelf", "kept").code == 0
    assert _process(engine, "shelf")
    engine.kill()
    eventually(lambda: _process(engine, "shelf") == [], seconds=10)
    engine.start()
    shown = engine.docker("volume", "inspect", "--format", "{{.Name}} {{.Driver}}", "kept")
    assert shown.text == "kept shelf", shown.err
    assert engine.docker("volume", "rm", "kept").code == 0


@pytest.mark.parametrize("client", ["docker", "sampan"])
def test_a_front_end_translates_what_is_built(engine: Sampan, tmp_path: Path, client: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("words")
    (tmp_path / "Dockerfile").write_text(
        '# syntax=recipe\nfrom = "nothing"\ncopy = { "site/" = "/srv/" }\nrun = ["cat", "/srv/page"]\n'
    )
    words = ["build", "-q", "-t", f"recipe-{client}", "--build-arg", "from=busybox", str(tmp_path)]
    built = engine.docker(*words, env={"DOCKER_BUILDKIT": "0"}) if client == "docker" else engine.sampan(*words)
    assert built.code == 0, built.err
    assert engine.docker("run", "--rm", f"recipe-{client}").text == "words"
    (tmp_path / "Dockerfile").write_text('# syntax=recipe\nform = "busybox"\n')
    wrong = engine.docker(*words, env={"DOCKER_BUILDKIT": "0"}) if client == "docker" else engine.sampan(*words)
    assert wrong.code != 0
    assert "front end recipe: BuildFrontEnd.Translate: unknown key 'form' (there are: from," in wrong.err.decode()


def test_a_network_and_its_addresses(engine: Sampan) -> None:
    made = engine.docker(
        "network", "create", "-d", "cable", "--ipam-driver", "ledger", "--subnet", "10.213.4.0/24", "wires"
    )
    assert made.code == 0, made.err
    served = engine.docker("run", "-d", "--name", "there", "--network", "wires", "busybox", "sleep", "100")
    assert served.code == 0, served.err
    address = engine.docker("inspect", "--format", "{{.NetworkSettings.Networks.wires.IPAddress}}", "there").text
    assert address.startswith("10.213.4."), address
    pinged = engine.docker("run", "--rm", "--network", "wires", "busybox", "ping", "-c", "1", "-w", "10", address)
    assert pinged.code == 0, pinged.out
    refused = engine.docker(
        "network", "create", "-d", "cable", "--ipam-driver", "ledger", "--subnet", "10.213.4.0/25", "more"
    )
    assert "10.213.4.0/25 overlaps a range that is in use" in refused.err.decode()
    assert engine.docker("rm", "-f", "there").code == 0
    assert engine.docker("network", "rm", "wires").code == 0


def test_a_log_goes_to_its_driver(engine: Sampan) -> None:
    words = ("--log-driver", "lines", "--log-opt", "prefix=> ", "busybox", "sh", "-c", "echo one; echo two >&2")
    ran = engine.docker("run", "--name", "talks", *words)
    assert ran.code == 0, ran.err
    container = engine.docker("inspect", "--format", "{{.Id}}", "talks").text
    kept = engine.data_root / "drivers" / "lines" / f"{container}.jsonl"
    eventually(lambda: kept.exists() and len(kept.read_text().splitlines()) == 2, seconds=20)
    told = [json.loads(line) for line in kept.read_text().splitlines()]
    found = {(one["source"], base64.b64decode(one["line"])) for one in told}
    assert found == {("stdout", b"> one"), ("stderr", b"> two")}
    shown = engine.docker("logs", "talks")  # as the driver reads it
    assert (shown.out, shown.err) == (b"> one\n", b"> two\n")
    assert engine.docker("rm", "talks").code == 0


def test_an_authorization_driver_judges(installed: Path) -> None:
    within = ("env", f"PYTHONPATH={installed}")
    with running_sampan("--authorization-plugin", "readonly", within=within) as engine:
        assert engine.docker("ps").code == 0
        refused = engine.docker("volume", "create", "never")
        assert (
            "authorization denied by plugin readonly: a client without a certificate may look" in refused.err.decode()
        )


def test_a_snapshot_driver_copies_the_layers(installed: Path, tmp_path: Path) -> None:
    within = ("env", f"PYTHONPATH={installed}")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo built >/made\nRUN cat /made >/again\n")
    with running_sampan("--storage-driver", "reflinks", within=within) as engine:
        engine.load_busybox()
        assert engine.docker("info", "--format", "{{.Driver}}").text == "reflinks"
        ran = engine.docker("run", "--name", "one", "busybox", "sh", "-c", "echo words >/file; cat /file")
        assert ran.text == "words", ran.err
        assert engine.docker("diff", "one").text == "A /file"
        built = engine.sampan("build", "-q", "-t", "made", str(tmp_path))
        assert built.code == 0, built.err
        assert engine.docker("run", "--rm", "made", "cat", "/again").text == "built"
        engine.kill()
        engine.start("--storage-driver", "reflinks")
        assert engine.docker("start", "-a", "one").text == "words"
    assert 'invalid storage-driver: "nobody"' in refused_start("--storage-driver", "nobody", within=within)


@pytest.mark.parametrize(("name", "code"), [("shelf", 0), ("wordy", 1), ("nobody", 2)])
def test_the_suites_of_an_installed_driver(installed: Path, name: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sampan.testing", name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), *filter(None, sys.path)))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    if code < 2:
        assert "VolumeDriver: test_what_is_written_stays" in done.stdout


def _age(pid: int) -> float:
    """Seconds since the process began."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")
