"""Documents lead somewhere: their links exist, and what they say to run is there."""

import os
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("command", ["check", "try", "bench/run", ".ci/run", "tests/fresh/run", "tests/vm/run"])
def test_commands_are_executable(command: str) -> None:
    assert os.access(PROJECT / command, os.X_OK)


def test_each_danger_has_the_tests_that_it_names() -> None:
    """Of docs/threat-model.md: a proof that is renamed or removed shows here, and a test of the corpus that is left out."""
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "threat-model.md").read_text()))
    defined = {
        name
        for file in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named - defined == set()
    assert {name for name in defined if name.startswith("test_sec_")} - named == set()
