"""`COPY --parents` gives the names that it gives in BuildKit."""

from pathlib import Path

import pytest

from sampan.errors import SampanError
from tests.kernel.build.parents import OURS_ALONE, TREES
from tests.kernel.build.planned import build
from tests.long.copies import CONTEXT
from tests.requires import requires
from tests.unit.build.tree.archives import packed

pytestmark = requires("root", "openat2")


def names(case: str, place: Path) -> str:
    lines = case.split(";")
    text = "\n".join(lines if lines[0].startswith("FROM") else ["FROM scratch", *lines]) + "\n"
    (place / "made").mkdir()
    tree = build(text, packed(CONTEXT), place / "made")
    return " ".join(sorted(str(path.relative_to(tree)) for path in tree.rglob("*")))


@pytest.mark.parametrize("case", TREES)
def test_the_same_names(case: str, tmp_path: Path) -> None:
    expected = TREES[case]
    if expected is None:
        with pytest.raises(SampanError):
            names(case, tmp_path)
    else:
        assert names(case, tmp_path) == expected


@pytest.mark.parametrize("case", OURS_ALONE)
def test_the_whole_context_with_its_parents(case: str, tmp_path: Path) -> None:
    found = names(case, tmp_path).split()
    assert "new/dir/x.d" not in found
    assert {"new/dir", "new/x.d/k", "new/deep/er/est/f"} <= set(found)
    assert ("new/dir/x.txt" in found) == ("txt" not in case)
    assert ("new/dir/sub" in found) == ("sub" not in case)
