"""Probes on the real host: they answer, agree with what the machine says elsewhere, and leave nothing behind."""

import os
import threading
import time
from pathlib import Path

import pytest

from sampan.errors import System
from sampan.host import check, facts
from sampan.host.attempt import gather
from sampan.host.finding import Finding, Lacking, Probe
from tests.requires import probed, requires

pytestmark = requires("root")


def traces() -> set[str]:
    found = {line.split(" ", 2)[2] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    found |= {path for path, _, _ in os.walk("/sys/fs/cgroup") if os.path.basename(path).startswith("sampan-probe-")}
    found |= {str(path) for place in ("/", "/tmp", "/var/lib") for path in Path(place).glob(".sampan-probe-*")}
    found = {trace for trace in found if "-test-" not in trace}
    return found | {name for name in os.listdir("/sys/class/net") if not _of_an_engine(name)}


def _of_an_engine(interface: str) -> bool:
    """Engines under test run beside; theirs say so by an alias, or are still without one, but named."""
    return interface.startswith(("sp", "veth"))


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    place = tmp_path_factory.mktemp("data, with: signs")
    before, namespaces = traces(), {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
    found = check.probe_all(str(place / "not" / "yet" / "there"))
    assert traces() - before == set()
    assert list(place.iterdir()) == []
    assert {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")} == namespaces
    return {finding.name: finding for finding in found}


def test_what_a_container_needs_is_here(findings: dict[str, Finding]) -> None:
    missing = [f"{finding.name}: {finding.why}" for finding in findings.values() if finding.needed and not finding.ok]
    assert missing == []


def test_a_no_has_a_reason_and_advice(findings: dict[str, Finding]) -> None:
    silent = [finding.name for finding in findings.values() if not finding.ok and not (finding.why and finding.hint)]
    assert silent == []


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("overlay", "overlay"),
        ("idmapped mounts", "idmap"),
        ("idmapped layers", "idmap"),
        ("openat2", "openat2"),
        ("pidfd", "pidfd"),
        ("user namespace", "userns"),
        ("time namespace", "timens"),
        ("bridge", "bridge"),
        ("veth", "veth"),
        ("seccomp", "seccomp"),
        ("memory limit", "cgroup:memory"),
        ("pids limit", "cgroup:pids"),
    ],
)
def test_the_tests_own_probes_say_the_same(findings: dict[str, Finding], name: str, feature: str) -> None:
    assert findings[name].ok is (probed(feature) is None)


def test_capabilities_are_those_of_the_process(findings: dict[str, Finding]) -> None:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    mask = int(line.split()[1], 16)
    for name, number in (("CAP_SYS_ADMIN", 21), ("CAP_SYS_RESOURCE", 24), ("CAP_NET_ADMIN", 12)):
        assert findings[name].ok is bool(mask >> number & 1)


def test_all_of_it_takes_little_time(tmp_path: Path) -> None:
    took = []
    for _ in range(3):
        began = time.monotonic()
        check.probe_all(str(tmp_path))
        took.append(time.monotonic() - began)
    assert min(took) < 5  # 0.3 s on an idle machine


def test_it_can_be_asked_from_a_thread_of_many(tmp_path: Path) -> None:
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    answers: list[bool] = []
    asking = threading.Thread(
        target=lambda: answers.extend(
            finding.ok for finding in check.probe_all(str(tmp_path)) if finding.name == "user namespace"
        )
    )
    asking.start()
    asking.join()
    stop.set()
    other.join()
    assert answers == [probed("userns") is None]


def test_probes_that_fail_hang_or_die_are_findings() -> None:
    def fails() -> str:
        raise Lacking("not there", "get it")

    def breaks() -> str:
        raise RuntimeError("broken")

    def hangs() -> str:
        time.sleep(60)
        return ""

    def dies() -> str:
        os.kill(os.getpid(), 9)
        return ""

    attempts = {"fails": fails, "breaks": breaks, "hangs": hangs, "dies": dies, "works": lambda: "well"}
    began = time.monotonic()
    found = gather([Probe(name, "machine", attempt, hint="usual advice") for name, attempt in attempts.items()], 0.5)
    assert time.monotonic() - began < 5
    assert [(finding.name, finding.ok, finding.hint) for finding in found] == [
        ("fails", False, "get it"),
        ("breaks", False, "usual advice"),
        ("hangs", False, "usual advice"),
        ("dies", False, "usual advice"),
        ("works", True, ""),
    ]
    assert [finding.why for finding in found][::2] == ["not there", "no answer within 0.5 seconds", "well"]


def test_a_helper_that_cannot_run_is_an_error_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(System, match=r"the probes of the host failed: .*/nonexistent/python"):
        check.probe_all("/tmp")


def test_facts_are_those_of_this_machine() -> None:
    found = facts.read()
    assert found.cpus == len(os.sched_getaffinity(0))
    assert found.kernel == os.uname().release
    assert found.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # What probes try and facts read must not contradict each other.
    assert found.seccomp is (probed("seccomp") is None)
