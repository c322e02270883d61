"""The gate itself: a closed vocabulary, and reasons for what is missing."""

import os

import pytest

from tests.requires import PROBES, Missing, _tried, requires


def test_unknown_name_raises() -> None:
    with pytest.raises(ValueError, match="unknown feature 'quantum'"):
        requires("root", "quantum")


def test_mark_carries_the_names() -> None:
    assert requires("root", "overlay").args == ("root", "overlay")


def test_attempt_that_raises_is_missing_with_its_reason() -> None:
    def attempt() -> None:
        raise PermissionError(1, "no")

    assert _tried(attempt)() == Missing("PermissionError: [Errno 1] no")


def test_attempt_that_dies_is_missing() -> None:
    found = _tried(lambda: os._exit(7))()
    assert found is not None
    assert "status 7" in found.reason


def test_attempt_that_passes_is_there() -> None:
    assert _tried(lambda: None)() is None


def test_every_name_is_one_word() -> None:
    assert not [name for name in PROBES if " " in name or name != name.lower()]
