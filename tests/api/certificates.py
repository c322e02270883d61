"""A throw-away certificate for localhost that is its own authority, for both sides of a TLS connection."""

import ssl
import subprocess
from pathlib import Path


def make_certificate(directory: Path) -> None:
    """`cert.pem`, `key.pem` and `ca.pem` (the names Docker's client looks for)."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *more], cwd=directory, check=True, capture_output=True)
    (directory / "ca.pem").write_bytes((directory / "cert.pem").read_bytes())


def server_context(directory: Path) -> ssl.SSLContext:
    """As the daemon makes it with --tlsverify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
