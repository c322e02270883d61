"""Finding, keeping and forgetting a login: in the program that config.json names for a registry, else in config.json itself.

    credHelpers[registry], else credsStore ──▶ docker-credential-NAME         neither ──▶ auths[registry]

Source: the docker command's cli/config/configfile and cli/config/credentials.
"""

from __future__ import annotations

from sampan.cli.credentials import keychain
from sampan.client.documents import object_of, text_of
from sampan.registry.names import HUB, HUB_INDEX, HUB_INDEX_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document

_TOKEN_USER = "<token>"  # noqa: S105 - the name under which helpers keep an identity token


class Login:
    """What is known of one registry. `registry` is the key it is kept under; all else empty: nothing."""

    __slots__ = ("identity_token", "password", "registry", "registry_token", "username")

    def __init__(
        self, registry: str, username: str = "", password: str = "", identity_token: str = "", registry_token: str = ""
    ) -> None:
        self.registry = registry
        self.username = username
        self.password = password
        self.identity_token = identity_token
        self.registry_token = registry_token

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)


def key_of(server: str) -> str:
    """The key for a server as a user writes it: Docker Hub by its old index, every other registry by host and port."""
    if server in ("", HUB, HUB_INDEX_NAME, HUB_INDEX):
        return HUB_INDEX
    return hostname(server)


def hostname(server: str) -> str:
    """`localhost:5000` of `http://localhost:5000/v1/`."""
    for scheme in ("http://", "https://"):
        server = server.removeprefix(scheme)
    return server.partition("/")[0]


def key_of_image(name: str) -> str:
    """The key for an image's name."""
    first, slash, _ = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return key_of(first) if is_host else HUB_INDEX


def find(config: Document, key: str) -> Login:
    """The login for `key`; one without anything where there is none. Exit where a helper fails."""
    program = _helper(config, key)
    if not program:
        return _in_file(config, key)
    username, secret = keychain.get(program, key)
    if username == _TOKEN_USER:
        return Login(key, identity_token=secret)
    return Login(key, username, secret)


def keep(config: Document, login: Login) -> bool:
    """Put a login into its helper, or into `config`, which is to be written then. Whether it is in clear text in the file."""
    auths = dict(object_of(config, "auths"))
    program = _helper(config, login.registry)
    if program:
        name = _TOKEN_USER if login.identity_token else login.username
        keychain.store(program, login.registry, name, login.identity_token or login.password)
        auths[login.registry] = {}
    else:
        auths[login.registry] = _entry(login)
    config["auths"] = {key: auths[key] for key in sorted(auths)}
    return not program


def forget(config: Document, keys: list[str]) -> None:
    """Take the logins out of their helpers and of `config`, which is to be written then. Exit where a helper fails for all."""
    auths = dict(object_of(config, "auths"))
    failures = []
    for key in keys:
        program = _helper(config, key)
        if program and (failure := keychain.erase(program, key)):
            failures.append(f"{key}: {failure}")
        auths.pop(key, None)
    if "auths" in config:
        config["auths"] = dict(auths)
    if len(failures) == len(keys):
        raise keychain.KeychainFailed("\n".join(["WARNING: could not erase credentials:", *failures]))


def _helper(config: Document, key: str) -> str:
    return text_of(object_of(config, "credHelpers"), key) or text_of(config, "credsStore")


def _in_file(config: Document, key: str) -> Login:
    auths = object_of(config, "auths")
    spelt = key if key in auths else next((one for one in auths if hostname(one) == key), key)
    entry = object_of(auths, spelt)
    username, password = _decoded(text_of(entry, "auth"))
    return Login(
        key,
        username or text_of(entry, "username"),
        password or text_of(entry, "password"),
        text_of(entry, "identitytoken"),
        text_of(entry, "registrytoken"),
    )


def _decoded(auth: str) -> tuple[str, str]:
    """Name and password of an `auth` member; nothing where it cannot be read."""
    from binascii import Error, a2b_base64

    try:
        username, colon, password = str(a2b_base64(auth, strict_mode=True), "utf-8").partition(":")
    except (Error, ValueError):
        return "", ""
    return (username, password.strip("\0")) if colon else ("", "")


def _entry(login: Login) -> Document:
    from binascii import b2a_base64

    pair = f"{login.username}:{'' if login.identity_token else login.password}".encode()
    entry: Document = {"auth": str(b2a_base64(pair, newline=False), "ascii")} if pair != b":" else {}
    if login.identity_token:
        entry["identitytoken"] = login.identity_token
    return entry
