"""Runs the cases of one parser and judges them: an exception that is not its own, a hang, a leak of memory or descriptors."""

import gc
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzzing.mutating import LONG, RARELY, SAMPLED, Coverage, Mutator
from tests.fuzzing.parsers import Parser

PACKAGE = "/sampan/"
SLOW = 2.0
"""Seconds after which a case counts as a hang: a thousand times what the slowest takes, since the machine is shared."""
LEAK = 64 << 20
"""Bytes that the process may grow over a run; what is kept on purpose (caches) is bounded far below."""


class Found(AssertionError):
    """A case that a parser did not bear; the text has it as bytes that can become a seed."""

    def __init__(self, parser: Parser, case: bytes, what: str) -> None:
        super().__init__(f"{parser.name}: {what} over {case!r}")


@dataclass
class Tally:
    """What a run did."""

    cases: int = 0
    refused: int = 0
    lines: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slow_case: bytes = b""


def run(parser: Parser, cases: int, seconds: float, seed: int = 0) -> Tally:
    """The seeds, then up to `cases` cases for at most `seconds`, but a batch of them in any case. Raises Found."""
    mutator = Mutator(parser.seeds(), parser.tokens, seed, parser.longest, parser.documents)
    coverage, tally = Coverage(PACKAGE), Tally()
    descriptors, memory = len(os.listdir("/proc/self/fd")), 0
    began = time.monotonic()
    with _silent(), _watched(parser) as watch:
        for case in parser.seeds():
            _one(parser, case, tally, watch, coverage)
        while True:
            for number in range(SAMPLED if tally.cases < LONG else RARELY):
                case, known = mutator.next(), len(coverage)
                _one(parser, case, tally, watch, None if number else coverage)
                if len(coverage) > known:
                    mutator.pool.append(case)
            if not memory and tally.cases >= min(cases, LONG):
                memory = _resident()
            if tally.cases >= cases or time.monotonic() - began >= seconds:
                break
    tally.lines, tally.seconds = len(coverage), time.monotonic() - began
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + parser.descriptors, f"{parser.name}: descriptors leak"
    assert not memory or _resident() - memory < LEAK, f"{parser.name}: grew from {memory} to {_resident()} bytes"
    return tally


def _one(parser: Parser, case: bytes, tally: Tally, watch: "_Watch", coverage: Coverage | None) -> None:
    tally.cases += 1
    watch.case, watch.number = case, tally.cases
    began = time.perf_counter()
    try:
        if coverage is None:
            parser.call(case)
        else:
            coverage.watch(lambda: parser.call(case))
    except parser.refusals:
        tally.refused += 1
    except Exception as error:
        raise Found(parser, case, f"{type(error).__name__}: {str(error)[:200]}") from error
    finally:
        if time.perf_counter() - began > tally.slowest:
            tally.slowest, tally.slow_case = time.perf_counter() - began, case


class _Watch:
    """Looks at the clock's signal whether the run is still at the case that it saw last."""

    def __init__(self, parser: Parser) -> None:
        self.case, self.number, self._seen = b"", 0, -1
        self._parser = parser

    def look(self, signum: int, frame: FrameType | None) -> None:
        if self.number == self._seen:
            # SystemExit is no Exception: no parser's own handler keeps it.
            raise SystemExit(str(Found(self._parser, self.case, f"no end within {SLOW} processor seconds")))
        self._seen = self.number


@contextmanager
def _silent() -> Iterator[None]:
    """What is told of each bad case (in the log, or on the standard error of a small process) is not kept a million times."""
    logging.disable()
    try:
        with open(os.devnull, "w") as nothing, redirect_stderr(nothing):
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _watched(parser: Parser) -> Iterator[_Watch]:
    watch = _Watch(parser)
    before = signal.signal(signal.SIGVTALRM, watch.look)
    # Processor time, so that a busy machine is no hang.
    signal.setitimer(signal.ITIMER_VIRTUAL, SLOW, SLOW)
    try:
        yield watch
    except SystemExit as error:
        raise AssertionError(str(error)) from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
