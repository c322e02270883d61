"""A million nearly right cases for every parser (FUZZ_CASES each, at most FUZZ_SECONDS); FUZZ_SEED gives others.

What a run finds is printed as a bytes literal: mend the parser, then add the line to tests/fuzzing/seeds.
"""

import os

import pytest

from tests.fuzzing.parsers import PARSERS, Parser
from tests.fuzzing.running import run

CASES = int(os.environ.get("FUZZ_CASES", "1000000"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "3600"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_parser(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    tally = run(parser, CASES, SECONDS, SEED)
    with capsys.disabled():
        print(
            f"\n{parser.name}: {tally.cases} cases, {tally.refused} refused, {tally.lines} lines, {tally.seconds:.0f} s,"
            f" slowest {tally.slowest * 1000:.1f} ms"
        )
    assert tally.cases >= CASES or tally.seconds >= SECONDS
