import os
import socket

from sampan.volumes import letters


def test_a_letter_keeps_what_it_describes_and_can_be_read_again() -> None:
    reading, writing = os.pipe()
    letter = letters.write("data", writing)
    os.close(writing)
    for _ in range(2):
        found = letters.read(letter)
        assert found is not None
        name, descriptor = found
        assert name == "data"
        os.write(descriptor, b"x")
        os.close(descriptor)
    assert os.read(reading, 10) == b"xx"
    letter.close()
    assert os.read(reading, 10) == b""  # nobody holds the other end any more
    os.close(reading)


def test_other_sockets_are_none() -> None:
    for family, kind in ((socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM)):
        with socket.socket(family, kind) as other:
            assert letters.read(other) is None
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with first, second:
        first.send(b"sampan-volume:data")
        assert letters.read(second) is None


def test_they_are_found_in_a_process() -> None:
    reading, writing = os.pipe()
    with letters.write("mine", writing):
        found = letters.held_by(os.getpid())
    assert set(found) == {"mine"}
    for descriptor in (reading, writing, *found.values()):
        os.close(descriptor)
