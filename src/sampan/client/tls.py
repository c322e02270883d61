"""TLS to a daemon on TCP. Kept apart: the `ssl` module costs 30 ms and a unix socket never needs it."""

from __future__ import annotations

import socket
import ssl

from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from sampan.client.address import Address, Tls
    from sampan.client.wire import Endpoint


def secure(plain: _socket.socket, address: Address, material: Tls, timeout: float) -> Endpoint:
    """Shake hands over `plain`, which is owned by the result from here on. DaemonUnreachable when either side refuses."""
    endpoint = socket.socket(fileno=plain.detach())
    try:
        context = _context(material)
        endpoint.settimeout(timeout)
        wrapped = context.wrap_socket(endpoint, server_hostname=material.server_name or address.host)
        wrapped.settimeout(None)
    except (OSError, ssl.SSLError) as error:
        endpoint.close()
        raise DaemonUnreachable(f"error during connect: {address.text}: {error}") from error
    return wrapped


def _context(material: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not material.verify:
        # Docker's bare --tls: encrypted, the server not checked. --tlsverify is what anyone should use.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif material.ca:
        context.load_verify_locations(cafile=material.ca)
    else:
        context.load_default_certs()
    if material.cert:
        context.load_cert_chain(material.cert, material.key)
    return context
