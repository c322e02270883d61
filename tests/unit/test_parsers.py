"""Every parser bears its seeds, among them what was found before, and a few nearly right cases.

A million of them: `./check long parsers`.
"""

import pytest

from tests.fuzzing.parsers import PARSERS, SEEDS, Parser
from tests.fuzzing.running import run

CASES, SECONDS = 600, 0.1


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_nearly_right_bytes(parser: Parser) -> None:
    assert run(parser, CASES, SECONDS).cases > len(parser.seeds())


def test_each_parser_has_its_seeds_and_no_other_file_is_there() -> None:
    assert {path.stem for path in SEEDS.iterdir()} == {parser.name for parser in PARSERS}
