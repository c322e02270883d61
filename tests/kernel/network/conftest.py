"""The lab of network namespaces for this directory's tests."""

from collections.abc import Iterator

import pytest

from tests.kernel.network.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()
