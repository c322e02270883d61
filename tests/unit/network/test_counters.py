"""/proc/net/dev: the interfaces of the engine, and no others."""

import os

from sampan.network.counters import Counters, Meter, parse

TEXT = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 336207042   21705    0    0    0     0          0         0 336207042   21705    0    0    0     0       0          0
  eth0:     138       3    1    2    0     0          0         0       84       4    5    6    0     0       0          0
eth1:12345678901 1 0 0 0 0 0 0 98765432109 1 0 0 0 0 0 0
  tun0:     500       3    0    0    0     0          0         0       84       2    0    0    0     0       0          0
  eth2: 1 2 3
"""


def test_interfaces_of_the_engine() -> None:
    found = parse(TEXT, ("eth0", "eth1", "eth2"))
    assert found.keys() == {"eth0", "eth1"}
    assert found["eth0"] == Counters(138, 3, 1, 2, 84, 4, 5, 6)
    assert (found["eth1"].rx_bytes, found["eth1"].tx_bytes) == (12345678901, 98765432109)
    assert parse("", ("eth0",)) == {}
    assert parse(TEXT, ("tun0",)).keys() == {"tun0"}


def test_a_meter_reads_again_and_closes_twice() -> None:
    meter = Meter(os.getpid())
    assert meter.read(("lo",)).keys() == meter.read(("lo",)).keys() == {"lo"}
    meter.close()
    meter.close()


def test_a_name_that_ends_lines_elsewhere() -> None:
    # The kernel takes \x1c for a letter of a name, str.splitlines for the end of a line.
    more = "\x1ceth0: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
    assert parse(TEXT + more, ("eth0",))["eth0"] == Counters(138, 3, 1, 2, 84, 4, 5, 6)
