"""What the differential harness calls equal, and what it does not."""

import json

import pytest

from tests.differential.known import KNOWN, Known
from tests.differential.views import differences, document_lines, normalised, output_lines, sections

ID = "f" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ID, "<id>"),
        (f"sha256:{ID}", f"sha256:{ID}"),
        ("0123456789ab", "<short id>"),
        ("at 2026-11-23T20:00:01.123456789Z now", "at <time> now"),
        ("0001-01-01T00:00:00Z", "<never>"),
        ("02:42:ac:11:00:02 172.17.0.2/16 10.213.7.2", "<mac> <address>/16 <address>"),
        ("/tmp/sampan-test-ab_1/data/volumes/v", "<data>/volumes/v"),
        ("/tmp/dockerd-test-x/data/volumes/v", "<data>/volumes/v"),
        (f"/sampan-0123456789ab/{ID}", "/<engine>/<id>"),
        (f"/dockerd-test-x/{ID}", "/<engine>/<id>"),
        ("192.0.2.7 8.8.8.8", "192.0.2.7 8.8.8.8"),
    ],
)
def test_what_differs_from_run_to_run_is_named(text: str, expected: str) -> None:
    assert normalised(text) == expected


def test_documents_become_members() -> None:
    document = {"Id": ID, "State": {"ExitCode": 0}, "Cmd": ["a", "b"], "Empty": {}, "Null": None}
    assert document_lines(json.dumps(document).encode()) == [
        '.Cmd = ["a", "b"]',
        ".Empty = {}",
        '.Id = "<id>"',
        ".Null = null",
        ".State.ExitCode = 0",
    ]


def test_mounts_are_compared_in_any_order() -> None:
    one = [{"Destination": "/a"}, {"Destination": "/b"}]
    assert document_lines(json.dumps(one).encode()) == document_lines(json.dumps(one[::-1]).encode())


def test_a_world_is_its_sections() -> None:
    output = b"== status\nPid:\t7\nCapEff:\t00\n== mountinfo\n25 1 0:5 / /proc rw,nosuid shared:3 - proc proc rw\n"
    assert sections(output) == ["mountinfo: / /proc rw,nosuid shared:N proc proc rw", "status: CapEff: 00"]


def test_differences_count_repetitions() -> None:
    assert differences(["a", "b", "b"], ["b", "c"]) == ["- c", "+ a", "+ b"]


def test_known_difference_covers_by_pattern() -> None:
    known = Known("inside: *", "+ status: Seccomp*", "reason")
    assert known.covers("inside: plain", "+ status: Seccomp_filters: 2")
    assert not known.covers("api: ping", "+ status: Seccomp_filters: 2")
    assert not known.covers("inside: plain", "- status: Seccomp_filters: 2")


def test_every_known_difference_has_a_reason() -> None:
    assert [known for known in KNOWN if len(known.reason) < 15] == []


def test_what_only_an_old_client_adds_is_left_out() -> None:
    said = (
        b"docker: Error response from daemon: network nosuch not found.\n"
        b'time="2026-01-01T00:00:00Z" level=error msg="error waiting for container: context canceled"\n'
        b"See 'docker run --help'.\n"
    )
    assert output_lines("err", said) == ["err: docker: Error response from daemon: network nosuch not found"]
    assert len(output_lines("out", said)) == 3
