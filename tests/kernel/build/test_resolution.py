"""Paths in a context's index and in the directory it becomes: resolved alike, by us and by the kernel."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.build.tree.context import unpack_context
from sampan.files.tar_reader import BadArchive
from sampan.kernel.files import Resolve, openat2
from tests.kernel.build.trees import opened
from tests.unit.build.tree.archives import Content, packed

pytestmark = pytest.mark.requires("openat2")

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
STEPS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=6).map("/".join)
TARGETS = st.one_of(STEPS, STEPS.map("/{}".format)).filter(lambda text: text not in ("", "/"))
CONTENTS = st.one_of(st.none(), st.binary(min_size=1, max_size=3), TARGETS)


def by_kernel(directory: int, path: str) -> bytes | int:
    try:
        descriptor = openat2(directory, os.fsencode(path) or b".", os.O_RDONLY, Resolve.IN_ROOT)
    except OSError as error:
        return error.errno or -1
    try:
        return os.read(descriptor, 100)
    except IsADirectoryError as error:
        return error.errno or -1
    finally:
        os.close(descriptor)


@settings(max_examples=100, deadline=None)
@given(files=st.dictionaries(PATHS, CONTENTS, max_size=8), paths=st.lists(STEPS, min_size=1, max_size=8))
def test_paths_lead_to_the_same(files: dict[str, Content], paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "into").mkdir()
        with opened(Path(place) / "into") as into:
            try:
                context = unpack_context(packed(files), into)
            except BadArchive:
                return  # a file below a file, a link in a circle
            with context:
                directory = context.tree().directory()
                for path in [*paths, *files]:
                    try:
                        ours: bytes | int = context.read(path)
                    except OSError as error:
                        ours = error.errno or -1
                    assert ours == by_kernel(directory, path), path
