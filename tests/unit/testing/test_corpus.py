"""What `./check long corpus` gives to pytest."""

import re

from tests.vm.corpus import PROJECT, WHOLE, arguments


def test_no_test_of_the_corpus_is_left_out() -> None:
    listed = list(arguments())
    files = [path for path in (PROJECT / "tests").rglob("test_*.py") if not path.is_relative_to(PROJECT / "tests/unit")]
    for file in files:
        name = str(file.relative_to(PROJECT))
        if not name.startswith(WHOLE):
            corpus = re.findall(r"^def (test_sec_\w+)", file.read_text(), re.MULTILINE)
            assert [each for each in corpus if f"{name}::{each}" not in listed] == []


def test_what_is_listed_is_there() -> None:
    for argument in arguments():
        file, _, name = argument.partition("::")
        assert (PROJECT / file).exists()
        assert not name or f"def {name}(" in (PROJECT / file).read_text()
