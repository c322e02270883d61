"""Shares as bars of block characters, and their past as sparklines. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """`share` of one as a bar of `width` cells, to an eighth of a cell; what is more than all of it is all."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def sparkline(shares: Sequence[float], width: int) -> str:
    """The last `width` of `shares` of one, a cell each, the newest at the right; nothing where there was none yet."""
    heights = [
        _HEIGHTS[min(int(min(max(share, 0.0), 1.0) * len(_HEIGHTS)), len(_HEIGHTS) - 1)] for share in shares[-width:]
    ]
    return "".join(heights).rjust(width)
