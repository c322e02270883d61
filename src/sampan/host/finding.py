"""What a probe found, and what a probe is."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One feature: whether it works here, and why or why not; `hint` says what to do about it."""

    name: str
    area: str
    """kernel, isolation, files, groups, network, security or machine"""
    ok: bool
    why: str = ""
    hint: str = ""
    needed: bool = False
    """Without it no container starts; the others cost what `hint` says."""


class Lacking(Exception):
    """The feature is not there; the text says why, `hint` what to do where that differs from the probe's own."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Probe:
    """A feature and how it is tried.

    `attempt` runs in a forked process of its own with one thread: it may unshare and mount, must undo what outlives it,
    returns what is worth saying, and raises OSError or Lacking.
    """

    name: str
    area: str
    attempt: Callable[[], str]
    hint: str = ""
    needed: bool = False
