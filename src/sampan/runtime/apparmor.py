"""The profile of AppArmor under which the program will be: told to the kernel ahead of the execve that enters it.

The word is written into a procfs of our own that stands nowhere (CVE-2019-16884, CVE-2025-52881: labels that went where an image
had led them). Whatever goes wrong stops the start.

Loaded by the launcher.
"""

from __future__ import annotations

import os

from sampan.kernel.files import openat2
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import ON_OUR_OWN, Context, instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PLACES = (b"attr/apparmor/exec", b"attr/exec")
"""The second before Linux 5.1, and where it is another module's the write fails."""


def confine(_context: Context, profile: str) -> None:
    """The next execve of this process, or of what it forks, enters the profile. Raises StepFailed for one that is not loaded."""
    proc = instance(b"proc", [])
    try:
        descriptor = _door(proc)
        try:
            os.write(descriptor, b"exec " + os.fsencode(profile))
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            message = (
                f"apparmor failed to apply profile {profile!r}: write /proc/thread-self/attr/apparmor/exec: {reason}"
            )
            raise StepFailed("other", f"unable to apply apparmor profile: {message}", error.errno or 0) from error
        finally:
            os.close(descriptor)
    finally:
        os.close(proc)


def _door(proc: int) -> int:
    # A plain link in this procfs: "1/task/1".
    ourselves = os.readlink(b"thread-self", dir_fd=proc)
    for place in _PLACES:
        try:
            return openat2(proc, ourselves + b"/" + place, os.O_WRONLY, ON_OUR_OWN)
        except FileNotFoundError:
            continue
    raise StepFailed("other", "unable to apply apparmor profile: this kernel has no place where one is named")


STEPS: dict[str, tuple[str, Callable[..., None]]] = {"confine": ("shared kernel", confine)}
"""Name in a plan → principle and function."""
