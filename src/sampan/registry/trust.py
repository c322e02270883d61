"""TLS contexts made of what a host is trusted by. The standard library's `ssl`, imported when the first one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampan.errors import System

if TYPE_CHECKING:
    import ssl

    from sampan.registry.host import Trust


def context(trust: Trust) -> ssl.SSLContext:
    """TLS 1.2 and later, with the system's authorities and the host's own. Raises System that names the file at fault."""
    import ssl

    made = ssl.create_default_context()
    if not trust.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    for authority in trust.authorities:
        try:
            made.load_verify_locations(cafile=authority)
        except (OSError, ssl.SSLError) as error:
            raise System(f"could not read CA certificate {str(authority)!r}: {error}") from error
    for certificate, key in trust.clients:
        try:
            made.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise System(f"could not load X509 key pair {str(certificate)!r}, {str(key)!r}: {error}") from error
    return made
