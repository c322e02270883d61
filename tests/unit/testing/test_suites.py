"""The suites go red on drivers that are wrong, each in one way, and tell what."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from sampan_example_authorization import ReadOnly
from sampan_example_frontend import Recipe
from sampan_example_ipam import Ledger
from sampan_example_log import File, Journal
from sampan_example_snapshot import Reflinks
from sampan_example_volume import Shelf

from sampan.drivers.authorization import Request, Response, Verdict
from sampan.drivers.ipam import Pool
from sampan.drivers.log import Container
from sampan.drivers.log_entries import Entry
from sampan.drivers.volume import Volume
from sampan.testing.authorization import AuthorizationDriverSuite
from sampan.testing.frontend import FrontEndSuite
from sampan.testing.ipam import IpamDriverSuite
from sampan.testing.log import LogDriverSuite
from sampan.testing.running import SUITES, run, suites
from sampan.testing.snapshot import SnapshotDriverSuite
from sampan.testing.suite import Suite
from sampan.testing.volume import VolumeDriverSuite


class Forgetful(Shelf):
    """Takes the files with the last use."""

    def unmount(self, name: str, use: str) -> None:
        for path in self.mount(name, use).iterdir():
            path.unlink()


class Lenient(Shelf):
    """Makes what it is asked for."""

    def volume(self, name: str) -> Volume:
        self.create(name, {})
        return super().volume(name)


class Elsewhere(Shelf):
    def mount(self, name: str, use: str) -> Path:
        return Path("relative") / name


class Blind(Shelf):
    def volumes(self) -> Iterable[Volume]:
        return []


class Generous(Ledger):
    """Gives every address to everybody."""

    def request_address(self, pool: str, address: str, options: Mapping[str, str]) -> str:
        return f"{address or '10.211.0.1'}/29"


class Overlapping(Ledger):
    def request_pool(self, space: str, pool: str, sub_pool: str, options: Mapping[str, str], *, ipv6: bool) -> Pool:
        return Pool(id=pool or "all", pool=pool or "10.64.0.0/16")


class Amnesiac(Ledger):
    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._pools = {}


class Deaf(Journal):
    """Takes no lines."""

    def open(self, container: Container) -> File:
        sink = super().open(container)
        sink.write = lambda entry: None  # type: ignore[method-assign]
        return sink


class Gossip(Journal):
    """Mixes up the containers."""

    def open(self, container: Container) -> File:
        return super().open(Container(container_id="all"))

    def _place(self, container: Container) -> Path:
        return super()._place(Container(container_id="all"))


class Late(Journal):
    def open(self, container: Container) -> File:
        sink = super().open(container)
        write = sink.write

        def wrong(entry: Entry) -> None:
            write(Entry(entry.source, entry.time_ns + 1, entry.line))

        sink.write = wrong  # type: ignore[method-assign]
        return sink


class Open(ReadOnly):
    """Lets everybody do everything."""

    def request(self, request: Request) -> Verdict:
        return Verdict(allow=True)


class Wordless(ReadOnly):
    def request(self, request: Request) -> Verdict:
        return Verdict(allow=super().request(request).allow)


class Shut(ReadOnly):
    def request(self, request: Request) -> Verdict:
        return Verdict(allow=False, message="no")

    def response(self, request: Request, response: Response) -> Verdict:
        return Verdict(allow=False, message="no")


class SameFiles(Reflinks):
    """One tree under two names."""

    def clone(self, source: Path, target: Path) -> None:
        target.symlink_to(source)


class Careless(Reflinks):
    """Writes over what is there."""

    def clone(self, source: Path, target: Path) -> None:
        if target.exists():
            shutil.rmtree(target)
        super().clone(source, target)


class Moody(Recipe):
    """Says something else each time."""

    def translate(self, source: str, arguments: Mapping[str, str]) -> str:
        return super().translate(source, arguments) + f"LABEL mood={os.urandom(8).hex()}\n"


class Babbler(Recipe):
    def translate(self, source: str, arguments: Mapping[str, str]) -> str:
        return "no Dockerfile\n"


_REQUESTS: dict[str, object] = {
    "allowed": (Request(method="GET", uri="/info"),),
    "denied": (Request(method="POST", uri="/build"),),
}
_SOURCES: dict[str, object] = {"sources": ('from = "busybox"', 'from = "debian"'), "wrong_sources": ("= =",)}

WRONG: list[tuple[type[Suite], type, dict[str, object], str]] = [
    (VolumeDriverSuite, Forgetful, {}, "test_what_is_written_stays"),
    (VolumeDriverSuite, Lenient, {}, "test_what_is_not_there_is_refused"),
    (VolumeDriverSuite, Elsewhere, {}, "test_what_is_written_stays"),
    (VolumeDriverSuite, Blind, {}, "test_a_volume_comes_and_goes"),
    (IpamDriverSuite, Generous, {}, "test_no_address_is_given_twice"),
    (IpamDriverSuite, Generous, {}, "test_an_address_outside_is_refused"),
    (IpamDriverSuite, Overlapping, {}, "test_pools_do_not_overlap"),
    (IpamDriverSuite, Amnesiac, {}, "test_a_daemon_that_is_started_again_finds_all_given"),
    (LogDriverSuite, Deaf, {}, "test_lines_are_taken_and_read_again"),
    (LogDriverSuite, Late, {}, "test_lines_are_taken_and_read_again"),
    (LogDriverSuite, Gossip, {}, "test_containers_are_kept_apart"),
    (AuthorizationDriverSuite, Open, _REQUESTS, "test_requests_are_judged"),
    (AuthorizationDriverSuite, Wordless, _REQUESTS, "test_requests_are_judged"),
    (AuthorizationDriverSuite, Shut, _REQUESTS, "test_requests_are_judged"),
    (SnapshotDriverSuite, SameFiles, {}, "test_neither_changes_with_the_other"),
    (SnapshotDriverSuite, Careless, {}, "test_a_refusal_leaves_nothing"),
    (FrontEndSuite, Moody, _SOURCES, "test_the_same_gives_the_same"),
    (FrontEndSuite, Babbler, _SOURCES, "test_what_comes_out_is_a_dockerfile"),
]


@pytest.mark.parametrize(
    ("suite", "driver", "more", "test"), WRONG, ids=[f"{one[1].__name__}-{one[3]}" for one in WRONG]
)
def test_what_is_wrong_is_found(suite: type[Suite], driver: type, more: dict[str, object], test: str) -> None:
    wrong = type("Wrong", (suite,), {"driver": lambda _, home: driver(home), **more})
    faults = dict(run(wrong))
    assert faults[test]
    assert "test_it_says_what_it_is" in faults
    assert faults["test_it_says_what_it_is"] == ""


def test_every_kind_has_a_suite() -> None:
    from sampan.drivers.groups import GROUPS
    from sampan.drivers.loading import SERVED

    assert set(SUITES) == set(SERVED) == set(GROUPS.values())


def test_nobody_declares_it() -> None:
    assert suites("nobody-has-this-name") == []
