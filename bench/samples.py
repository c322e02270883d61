"""Figures: medians and 95th percentiles of what was timed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Samples:
    """Seconds, one for each repetition."""

    seconds: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """The smallest sample that at least `share` of them do not exceed."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def p50(self) -> float:
        return self.percentile(0.50)

    @property
    def p95(self) -> float:
        return self.percentile(0.95)

    def __str__(self) -> str:
        return f"{self.p50 * 1000:.1f} / {self.p95 * 1000:.1f} ms"


def timed(repetitions: int, work: Callable[[], object], pause: float = 0.0) -> Samples:
    """`work`, that many times, with a pause before each that is not counted."""
    taken = []
    for _ in range(repetitions):
        time.sleep(pause)
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return Samples(tuple(taken))
