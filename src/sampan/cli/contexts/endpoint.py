"""What `--docker "host=…,ca=…,cert=…,key=…,skip-tls-verify=…"` says of a daemon: an endpoint and its TLS material."""

from __future__ import annotations

import os

from sampan.cli.contexts.store import MATERIAL, read_file
from sampan.cli.create.csv_fields import fields
from sampan.cli.failures import Exit
from sampan.cli.values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document, Json

KEYS = {
    "from": "Copy the endpoint of another context",
    "host": "Address of the daemon",
    "ca": "File of the authority that signs its certificate",
    "cert": "File of the client's certificate",
    "key": "File of the client's key",
    "skip-tls-verify": "Do not check the daemon's certificate",
}
_FAILED = "unable to create docker endpoint config"


def settings(text: str) -> dict[str, Json]:
    """KEY=VALUE with commas between them. ValueError as pflag's stringToString has it."""
    pairs = [text.strip('"')] if text.count("=") == 1 else fields(text)
    found: dict[str, Json] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair} must be formatted as key=value")
        found[key] = value
    return found


def described(given: dict[str, str]) -> tuple[Document, dict[str, bytes]]:
    """The endpoint as meta.json has it, and its files by name. Exit for what is unknown, unreadable, or no material."""
    for key in given:
        if key not in KEYS:
            raise Exit(1, f"{_FAILED}: unrecognized config key: {key}")
    try:
        files = {
            name: read_file(os.path.expanduser(given[key]))
            for name, key in zip(MATERIAL, ("ca", "cert", "key"), strict=True)
            if given.get(key)
        }
    except Exit as error:
        raise Exit(1, f"{_FAILED}: {error.text}") from error
    endpoint: Document = {}
    if given.get("host"):
        endpoint["Host"] = given["host"]
    endpoint["SkipTLSVerify"] = _skips(given.get("skip-tls-verify", ""))
    if files and given.get("host"):
        _check(files)
    return endpoint, files


def _skips(text: str) -> bool:
    try:
        return bool(text) and truth(text)
    except ValueError as error:
        raise Exit(1, f"{_FAILED}: skip-tls-verify: {str(error).removeprefix('strconv.ParseBool: ')}") from None


def _check(files: dict[str, bytes]) -> None:
    """Exit for what no connection can be made with. `ssl` reads a certificate and its key from paths alone."""
    import ssl
    from tempfile import TemporaryDirectory

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ca.pem" in files:
            context.load_verify_locations(cadata=files["ca.pem"].decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise _unfit("failed to retrieve context tls info: ca.pem seems invalid") from error
    if "key.pem" not in files:
        return
    with TemporaryDirectory() as directory:
        paths = [os.path.join(directory, name) for name in ("cert.pem", "key.pem")]
        for path in paths:
            with open(path, "wb") as file:
                file.write(files.get(os.path.basename(path), b""))
        try:
            context.load_cert_chain(paths[0], paths[1], password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise _unfit("no valid private key found") from error


def _no_password() -> str:
    """For an encrypted key: without it OpenSSL would ask at the terminal."""
    return ""


def _unfit(why: str) -> Exit:
    return Exit(1, f"{_FAILED}: invalid docker endpoint options: {why}")
