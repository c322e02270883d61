"""`sampan-oci` on real bundles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.oci.bundles import Runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path)
    yield made
    made("delete", "--force", made.name)
    for group in Path("/sys/fs/cgroup").glob("*/sampan-test"):
        group.rmdir()
    assert list(made.root.glob("*")) == []
