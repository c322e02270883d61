"""`--userns`, `--uidmap` and `--gidmap` as the daemon's UsernsMode. The two maps are Podman's; the API has no members for them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MODES = ("auto", "keep-id", "nomap", "private", "container")


def userns_mode(mode: str, uids: Sequence[str], gids: Sequence[str]) -> str:
    """The text of the mode, which the daemon judges. ValueError, in Docker's words, for one that nobody knows."""
    name, colon, _ = mode.partition(":")
    if mode not in ("", "host") and name not in _MODES:
        raise ValueError("--userns: invalid USER mode")
    if not uids and not gids:
        return mode
    if name not in ("", "private") or colon:
        raise ValueError(f"--uidmap and --gidmap cannot be used with --userns {mode}: they say all that is said")
    maps = [f"uidmapping={row}" for row in uids] + [f"gidmapping={row}" for row in gids]
    return f"private:{','.join(maps)}"
