"""What `system check` tells, step by step."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is at fault."""

    DISK = "disk"
    BLOB = "blob"
    LAYER = "layer"
    IMAGE = "image"
    NAME = "name"
    ORPHAN = "orphan"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `images`: those that have it, by name. `remedy`: what was done, where `repaired`, else what is to be done."""

    kind: Kind
    name: str
    images: tuple[str, ...]
    problem: str
    remedy: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """Progress, in bytes."""

    current: int
    total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last word: how much was looked at, how much was found, how much of that is repaired."""

    images: int
    blobs: int
    layers: int
    findings: int
    repaired: int


Step = Finding | Examined | Verdict
