"""The canary: compared in every detail when a test is over, whatever its outcome."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.hostile import Canary, host_state


@pytest.fixture
def canary() -> Iterator[Canary]:
    """A canary that is compared in every detail when the test is over."""
    place = Path(tempfile.mkdtemp(prefix="sampan-canary-", dir="/var/tmp"))
    secret = os.urandom(16).hex()
    try:
        place.chmod(0o755)
        (place / "secret").write_text(secret)
        (place / "secret").chmod(0o600)
        (place / "hosts").write_text(f"127.0.0.1 {secret}\n")
        (place / "directory").mkdir()
        (place / "directory" / "file").write_text(secret)
        found = Canary(place, secret)
        before, host = found.state(), host_state()
        yield found
        assert found.state() == before, "the canary was touched"
        assert host_state() == host, "the host was changed"
    finally:
        shutil.rmtree(place)
