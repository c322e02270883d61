"""From v1's units, in which OCI and Docker speak, to v2's: as runc has them. Pure."""

import math

from sampan.errors import InvalidParameter, System

_LEAST_SHARES, _MOST_SHARES = 2, 262144


def swap_alone(memory: int, both: int) -> int:
    """v2's limit of swap from v1's of memory plus swap; -1 is without limit. Raises InvalidParameter."""
    if both == -1:
        return -1
    if memory == 0:
        raise InvalidParameter("unable to set swap limit without memory limit")
    if memory == -1:
        raise InvalidParameter("unable to set swap limit with unlimited memory")
    if both < memory:
        raise InvalidParameter("memory+swap limit should be >= memory limit")
    return both - memory


def check_shares(shares: int) -> None:
    """v1's kernel takes the nearest that it knows, and says nothing. The words are runc's."""
    if shares < _LEAST_SHARES:
        raise System(f"the minimum allowed cpu-shares is {_LEAST_SHARES}")
    if shares > _MOST_SHARES:
        raise System(f"the maximum allowed cpu-shares is {_MOST_SHARES}")


def weight(shares: int) -> int:
    """v2's cpu.weight (1 to 10000, normally 100) for v1's cpu.shares (2 to 262144, normally 1024), as runc has it since 1.3.2.

    A curve through lowest, normal and highest; runc before had a straight line, on which 1024 shares became 39.
    """
    if shares <= _LEAST_SHARES:
        return 1
    if shares >= _MOST_SHARES:
        return 10000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def io_weight(asked: int) -> int:
    """v2's io.weight (1 to 10000) for v1's blkio.weight (10 to 1000): a straight line."""
    return 1 + (asked - 10) * 9999 // 990
