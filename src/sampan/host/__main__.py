"""The helper process: `python -I -m sampan.host DATA_ROOT` prints every finding as a JSON array. It has one thread."""

import sys

import msgspec

from sampan.host import groups, isolation, links, machine, security, storage
from sampan.host.attempt import gather


def main(arguments: list[str]) -> int:
    """Run all probes; 2 for a wrong command line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m sampan.host DATA_ROOT\n")
        return 2
    probes = (
        *machine.PROBES,
        *isolation.PROBES,
        *storage.probes(arguments[0]),
        *groups.PROBES,
        *links.PROBES,
        *security.PROBES,
    )
    sys.stdout.buffer.write(msgspec.json.encode(gather(probes)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
