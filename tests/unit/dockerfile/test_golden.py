"""The corpus of tests/golden. `python -m tests.golden` writes what is read now: review the difference before it is kept."""

from pathlib import Path

import pytest

from tests.golden.rendering import error_of, render

CORPUS = Path(__file__).parents[2] / "golden"
GOOD = sorted((CORPUS / "good").glob("*.dockerfile"))
WRONG = sorted((CORPUS / "wrong").glob("*.dockerfile"))


def text_of(file: Path) -> str:
    return file.read_bytes().decode()


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good(file: Path) -> None:
    assert render(text_of(file)) == file.with_suffix(".tree").read_text()


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_wrong(file: Path) -> None:
    assert error_of(text_of(file)) == file.with_suffix(".error").read_text()


def test_the_corpus_is_whole() -> None:
    assert len(GOOD) >= 150
    assert len(WRONG) >= 60
    beside = {path.stem for kind in ("*.tree", "*.error") for path in CORPUS.rglob(kind)}
    assert beside == {file.stem for file in (*GOOD, *WRONG)}
