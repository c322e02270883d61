"""The docker client's configuration, which this command shares: config.json, contexts, the environment's DOCKER_ variables.

Source: the files as the docker command writes them: `config.json` in ~/.docker (or $DOCKER_CONFIG) and
`contexts/meta/<sha256 of the name>/meta.json` with TLS material in `contexts/tls/<the same>/docker/`.
"""

from __future__ import annotations

import os

from sampan.cli.failures import Exit
from sampan.client import documents
from sampan.client.address import DEFAULT_SOCKET, Tls, parse_address
from sampan.client.documents import object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Mapping

    from sampan.client.address import Address
    from sampan.client.documents import Document

DEFAULT_CONTEXT = "default"
MAX_CONFIG = 4 * 1024 * 1024


class Globals:
    """The options before the command, and the environment they may override."""

    __slots__ = ("ca", "cert", "config_dir", "context", "debug", "environ", "host", "key", "tls", "tls_verify")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.host = ""
        self.context = ""
        self.debug = False
        self.config_dir = environ.get("DOCKER_CONFIG", "") or os.path.join(environ.get("HOME", "/root"), ".docker")
        cert_path = environ.get("DOCKER_CERT_PATH", "")
        self.ca = os.path.join(cert_path or self.config_dir, "ca.pem")
        self.cert = os.path.join(cert_path or self.config_dir, "cert.pem")
        self.key = os.path.join(cert_path or self.config_dir, "key.pem")
        self.tls = False
        self.tls_verify = environ.get("DOCKER_TLS_VERIFY", "") != ""


def read_config(config_dir: str) -> Document:
    """config.json's object; an empty one when there is no file. A broken file is reported once on stderr, not fatal."""
    path = os.path.join(config_dir, "config.json")
    try:
        with open(path, "rb") as file:
            return documents.document(file.read(MAX_CONFIG))
    except FileNotFoundError:
        return {}
    except (OSError, documents.MalformedDocument) as error:
        os.write(2, f"WARNING: Error loading config file: {path}: {error}\n".encode())
        return {}


def context_name(given: Globals, config: Document) -> str:
    """The name of the context in use, by docker's order: -H, --context, DOCKER_HOST, DOCKER_CONTEXT, currentContext."""
    if given.host and given.context:
        raise Exit(1, "conflicting options: cannot specify both --host and --context")
    if given.host:
        return DEFAULT_CONTEXT
    if given.context:
        return given.context
    if given.environ.get("DOCKER_HOST"):
        return DEFAULT_CONTEXT
    return given.environ.get("DOCKER_CONTEXT", "") or text_of(config, "currentContext") or DEFAULT_CONTEXT


def _sha256() -> Callable[[bytes], hashlib._Hash]:
    """What hashlib would load for us, together with 3 ms of OpenSSL; Python 3.12 moved it."""
    for module in ("_sha2", "_sha256"):
        try:
            found: Callable[[bytes], hashlib._Hash] = __import__(module).sha256
        except ImportError:
            continue
        return found
    from hashlib import sha256

    return sha256


def context_directory(config_dir: str, kind: str, name: str) -> str:
    """Where a context's "meta" or "tls" files are."""
    sha256 = _sha256()
    return os.path.join(config_dir, "contexts", kind, sha256(name.encode()).hexdigest())


def find_address(given: Globals, config: Document) -> Address:
    """The daemon's address. Exit when the context that is named does not exist."""
    name = context_name(given, config)
    return default_address(given) if name == DEFAULT_CONTEXT else _context_address(given.config_dir, name)


def default_address(given: Globals) -> Address:
    """The address that no context names: of -H, DOCKER_HOST, or the engine of this machine."""
    secure = given.tls or given.tls_verify
    host = given.host or given.environ.get("DOCKER_HOST", "")
    address = parse_address(host or _of_user(given), secure)
    if secure and address.scheme == "tcp":
        address.tls = Tls(given.ca, _if_there(given.cert), _if_there(given.key), given.tls_verify)
    return address


def _of_user(given: Globals) -> str:
    """The user's own daemon where there is one, or may be, and none of root's that it may speak to; else ""."""
    if os.geteuid() == 0 or os.access(DEFAULT_SOCKET, os.W_OK):
        return ""
    from sampan.rootless.places import of_user

    places = of_user(given.environ, os.geteuid())
    return f"unix://{places.socket}" if os.path.exists(places.socket) or os.path.exists(places.choices) else ""


def _if_there(path: str) -> str:
    return path if os.path.exists(path) else ""


def _context_address(config_dir: str, name: str) -> Address:
    try:
        with open(os.path.join(context_directory(config_dir, "meta", name), "meta.json"), "rb") as file:
            meta = documents.document(file.read(MAX_CONFIG))
    except FileNotFoundError:
        raise Exit(
            1, f'Failed to initialize: unable to resolve docker endpoint: context "{name}": context not found'
        ) from None
    except (OSError, documents.MalformedDocument) as error:
        raise Exit(1, f'Failed to initialize: context "{name}": {error}') from error
    endpoint = object_of(object_of(meta, "Endpoints"), "docker")
    secure = bool(endpoint.get("TLSData"))
    material = os.path.join(context_directory(config_dir, "tls", name), "docker")
    address = parse_address(text_of(endpoint, "Host"), secure or os.path.isdir(material))
    if address.scheme == "tcp" and os.path.isdir(material):
        ca, cert, key = (_if_there(os.path.join(material, part)) for part in ("ca.pem", "cert.pem", "key.pem"))
        address.tls = Tls(ca, cert, key, verify=endpoint.get("SkipTLSVerify") is not True)
    return address
