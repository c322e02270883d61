"""Loading AppArmor's default profile, at the daemon's start: what the kernel has is replaced, so that it is this release's."""

import logging
import os

from sampan.runtime.profile_apparmor import NAME, policy

_log = logging.getLogger("sampan.daemon")
_REPLACE = "/sys/kernel/security/apparmor/.replace"


def load_default() -> str:
    """The name of the profile that containers enter by default; "" where the kernel did not take it, which is warned of.

    That is so where the daemon itself is confined, or in a container without CAP_MAC_ADMIN.
    """
    try:
        descriptor = os.open(_REPLACE, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, policy())
        finally:
            os.close(descriptor)
    except OSError as error:
        _log.warning("AppArmor is on, and its profile %s could not be loaded: containers go without: %s", NAME, error)
        return ""
    return NAME
