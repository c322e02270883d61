"""The weakened builds of the security corpus fit the source, and no test of the corpus is without one in silence."""

import re
from pathlib import Path

import pytest

from tests.security.edits import Weakening
from tests.security.weakenings import WEAKENINGS, WITHOUT

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("weakening", WEAKENINGS, ids=lambda weakening: weakening.name)
def test_each_edit_has_one_place(weakening: Weakening) -> None:
    for edit in weakening.edits:
        text = (PROJECT / "src" / "sampan" / edit.file).read_text()
        assert text.count(edit.before) == 1, edit
        compile(text.replace(edit.before, edit.after), edit.file, "exec")


def test_each_test_of_the_corpus_has_a_control_or_a_reason() -> None:
    corpus = {
        name
        for file in (PROJECT / "tests" / "security").glob("test_*.py")
        for name in re.findall(r"^def (test_sec_\w+)\(", file.read_text(), re.MULTILINE)
    }
    controlled = {name for weakening in WEAKENINGS for name in weakening.red}
    assert controlled & WITHOUT.keys() == set()
    assert {name for name in controlled if name.startswith("test_sec_")} | WITHOUT.keys() == corpus
