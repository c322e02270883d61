"""What every lane shares: the gate for host features, the tally of skips, a private engine and its leak check."""

import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests import requires as features
from tests.daemons import Docker, Sampan, running_docker, running_sampan
from tests.schema import published
from tests.schema.checking import Reader

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
TALLY = Path(__file__).parent.parent / ".build" / "skips.txt"

_skips: Counter[str] = Counter()


def pytest_configure() -> None:
    """A shell lets what it runs in the background ignore both (POSIX, 2.11), and so would each program that is tested."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, a test whose host lacks what it requires."""
    names = tuple(name for mark in item.iter_markers("requires") for name in mark.args)
    for name, lack in features.missing(names):
        text = f"{name}: {lack.reason}"
        if IN_CI and not lack.other_form:
            pytest.fail(f"CI must have every feature, and this host lacks {text}", pytrace=False)
        pytest.skip(text)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the skips by reason."""
    if report.skipped and isinstance(report.longrepr, tuple) and not hasattr(report, "wasxfail"):
        _skips[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1


def pytest_unconfigure() -> None:
    """Add to the tally for `./check`, which prints it last."""
    if TALLY.parent.is_dir():
        with TALLY.open("a") as tally:
            tally.write("".join(f"{count:5d}  {reason}\n" for reason, count in _skips.most_common()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each engine's log with a failure."""
    report = yield
    for engine in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(engine, Sampan):
            report.sections.append(("the engine's log ends", engine.log_tail()))
    return report


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the developer's own Docker settings."""
    for name in list(os.environ):
        if name.startswith(("DOCKER_", "SAMPAN_")) and name != "SAMPAN_TEST_KEEP":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader | None]:
    """Daemons write their answers down, if the schema is there to compare them with."""
    if not published.FILE.exists():
        yield None
        return
    Sampan.answers = tmp_path_factory.mktemp("answers")
    yield Reader(Sampan.answers)
    Sampan.answers = None


@pytest.fixture(autouse=True)
def _answers_are_as_published(_answers: Reader | None) -> Iterator[None]:
    """Whatever a daemon answered during a test is in the schema: status, members, types."""
    yield
    faults = _answers.faults() if _answers is not None else []
    assert faults == [], "\n".join(["answers that the published schema does not allow:", *faults])


@pytest.fixture(scope="session", autouse=True)
def _private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HOME is an empty directory, so that no test finds or leaves a client's configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    """A private Sampan for one test module, with `busybox:latest` loaded; at the end nothing of it may be left."""
    with running_sampan() as started:
        started.load_busybox()
        yield started


@pytest.fixture(scope="module")
def peer() -> Iterator[Docker]:
    """Debian's dockerd beside it, with the same image loaded."""
    with running_docker() as started:
        started.load_busybox()
        yield started
