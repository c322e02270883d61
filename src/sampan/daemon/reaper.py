"""`--init` where another runtime makes the container: a program of the host's stands in front of the program, in Docker's way.

Sampan's own runtime needs none: its init is the reaper itself. Another one executes what its document says, so a static
`docker-init` (tini) is shown at /sbin/docker-init and becomes the first word.
"""

import os

import msgspec

from sampan.errors import NotImplementedHere
from sampan.spec import oci_runtime as oci

PLACE = "/sbin/docker-init"
PROGRAMS = (
    *(f"{directory}/docker-init" for directory in ("/usr/local/bin", "/usr/bin", "/usr/libexec/docker")),
    "/usr/bin/tini-static",
    "/usr/libexec/podman/catatonit",
    "/usr/bin/catatonit",
)
"""Of Debian's docker.io and of Docker's own packages; tini; catatonit. All are linked statically and take `-- PROGRAM`."""


def program(who: str) -> str:
    """Where the host has one. Raises NotImplementedHere, which names `who` wants it."""
    for path in PROGRAMS:
        if os.access(path, os.X_OK):
            return path
    raise NotImplementedHere(
        f"--init with {who} needs docker-init, which this host does not have (apt-get install tini)"
    )


def in_front(config: oci.Config, path: str) -> oci.Config:
    """The configuration with the program at `path` as its first process."""
    shown = oci.Mount(destination=PLACE, type="bind", source=path, options=("bind", "ro"))
    process = msgspec.structs.replace(config.process, args=(PLACE, "--", *config.process.args))
    return msgspec.structs.replace(config, init=False, process=process, mounts=(*config.mounts, shown))
