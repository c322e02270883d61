"""Memory files that nobody changes any more, on the real kernel."""

import errno
import os
import threading

import pytest

from sampan.kernel.files import ALL_SEALS, add_seals, get_seals


def test_a_page_that_somebody_holds_is_waited_for() -> None:
    """A pipe into which it was spliced holds it; a compaction does so unasked."""
    memory = os.memfd_create("held", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    reader, writer = os.pipe()
    try:
        os.write(memory, bytes(8192))
        assert os.splice(memory, writer, 8192, offset_src=0) == 8192
        letting_go = threading.Timer(0.4, os.read, (reader, 8192))
        letting_go.start()
        add_seals(memory, ALL_SEALS)
        letting_go.join()
        assert get_seals(memory) == ALL_SEALS
    finally:
        for descriptor in (memory, reader, writer):
            os.close(descriptor)


def test_not_for_ever() -> None:
    memory = os.memfd_create("held", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    reader, writer = os.pipe()
    try:
        os.write(memory, bytes(8192))
        os.splice(memory, writer, 8192, offset_src=0)
        with pytest.raises(OSError, match="F_ADD_SEALS") as caught:
            add_seals(memory, ALL_SEALS)
        assert caught.value.errno == errno.EBUSY
    finally:
        for descriptor in (memory, reader, writer):
            os.close(descriptor)
