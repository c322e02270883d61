"""The choice among an index's entries."""

import pytest

from sampan.images.platforms import choose, fits, machine_platform, parse_platform, runs, shown
from sampan.spec.oci_image import Descriptor, Platform


def entry(text: str) -> Descriptor:
    os, architecture, *variant = text.split("/")
    return Descriptor(digest=text, platform=Platform(architecture, os, variant="".join(variant)))


def chosen(wanted: str, *entries: str) -> str:
    found = choose([entry(text) for text in entries], parse_platform(wanted))
    return found.digest if found else ""


@pytest.mark.parametrize(
    ("wanted", "entries", "expected"),
    [
        ("linux/amd64", ("linux/arm64", "linux/amd64"), "linux/amd64"),
        ("linux/amd64", ("linux/amd64/v3", "linux/amd64"), "linux/amd64"),
        ("linux/amd64/v3", ("linux/amd64", "linux/amd64/v2", "linux/amd64/v4"), "linux/amd64/v2"),
        ("linux/amd64", ("linux/386", "linux/arm64"), "linux/386"),
        ("linux/arm64", ("linux/arm/v7", "linux/arm64/v8"), "linux/arm64/v8"),
        ("linux/arm64", ("linux/arm/v6", "linux/arm/v7"), "linux/arm/v7"),
        ("linux/arm64/v9.1", ("linux/arm64/v8.6", "linux/arm64/v8", "linux/arm64/v8.7"), "linux/arm64/v8.6"),
        ("linux/arm", ("linux/arm/v8", "linux/arm/v6", "linux/arm/v5"), "linux/arm/v6"),
        ("linux/x86_64", ("linux/amd64",), "linux/amd64"),
        ("linux/arm64", ("linux/amd64", "unknown/unknown"), ""),
        ("linux/amd64", ("windows/amd64",), ""),
        ("linux/s390x", ("linux/s390x",), "linux/s390x"),
    ],
)
def test_the_best_of_what_runs(wanted: str, entries: tuple[str, ...], expected: str) -> None:
    assert chosen(wanted, *entries) == expected


def test_an_entry_without_platform_comes_last() -> None:
    silent = Descriptor(digest="silent")
    wanted = parse_platform("linux/amd64")
    assert choose([silent, entry("linux/amd64")], wanted) == entry("linux/amd64")
    assert choose([silent, entry("linux/arm64")], wanted) == silent


def test_platforms_are_read_and_shown() -> None:
    assert shown(parse_platform("linux/arm64/v8")) == "linux/arm64"
    assert shown(parse_platform("Linux/ARM/v6")) == "linux/arm/v6"
    assert parse_platform("") == machine_platform()
    assert parse_platform("linux").os == "linux"
    assert shown(parse_platform("s390x")) == "linux/s390x"


def test_a_variant_that_nobody_knows_runs_itself() -> None:
    assert shown(runs(Platform("arm64", "linux", variant="v99.x"))[0]) == "linux/arm64/v99.x"


@pytest.mark.parametrize(
    ("image", "wanted", "expected"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/amd64", False),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v6", "linux/arm/v7", True),
    ],
)
def test_configurations_without_variant_fit_any(image: str, wanted: str, expected: bool) -> None:
    platform = entry(image).platform
    assert platform is not None
    assert fits(platform, parse_platform(wanted)) is expected
