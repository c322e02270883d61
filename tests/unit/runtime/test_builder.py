"""A builder whose monitor was killed before the kernel could be asked to tell of it makes nothing."""

import os
import socket
from typing import cast

from sampan.kernel.process import Title
from sampan.runtime import builder
from sampan.runtime.messages import Message

NOBODY = 0


class Noted:
    """A message that tells when it is looked at."""

    def __init__(self, told: int) -> None:
        self._told = told

    def __getattr__(self, name: str) -> object:
        os.write(self._told, b"x")
        raise AttributeError(name)


def looked_at(parent: int) -> bool:
    """Whether a builder goes on whose monitor was the process `parent`."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(2)  # the traceback of the one that goes on
        builder.main(cast(Message, Noted(write)), cast(Title, None), cast(socket.socket, None), parent)
    os.close(write)
    try:
        os.waitpid(pid, 0)
        return os.read(read, 1) == b"x"
    finally:
        os.close(read)


def test_an_orphan_makes_nothing() -> None:
    assert not looked_at(NOBODY)
    assert looked_at(os.getpid())
