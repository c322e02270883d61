"""The helper process: `python -I -m sampan.host DATA_ROOT [NAME]` prints every finding, or that one, as a JSON array.

It has one thread.
"""

import sys

import msgspec

from sampan.host import groups, isolation, links, machine, security, storage
from sampan.host.attempt import gather


def main(arguments: list[str]) -> int:
    """Run the probes; 2 for a wrong command line."""
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python -m sampan.host DATA_ROOT [NAME]\n")
        return 2
    probes = (
        *machine.PROBES,
        *isolation.PROBES,
        *storage.probes(arguments[0]),
        *groups.PROBES,
        *links.PROBES,
        *security.PROBES,
    )
    asked = [probe for probe in probes if probe.name in arguments[1:]] if arguments[1:] else probes
    sys.stdout.buffer.write(msgspec.json.encode(gather(asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
