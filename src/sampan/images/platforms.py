"""Which of several platforms' images is this machine's."""

import os

from sampan.spec.oci_image import Descriptor

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


def machine_architecture() -> str:
    """This machine as Go and the OCI call it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def choose(descriptors: list[Descriptor]) -> Descriptor | None:
    """The entry of an index that is meant for this machine; the only one that names no platform, else None.

    Entries for the platform `unknown` are attestations, not images.
    """
    architecture = machine_architecture()
    silent = []
    for descriptor in descriptors:
        platform = descriptor.platform
        if platform is None or not (platform.architecture or platform.os):
            silent.append(descriptor)
        elif platform.os == "linux" and platform.architecture == architecture:
            return descriptor
    return silent[0] if len(silent) == 1 else None
