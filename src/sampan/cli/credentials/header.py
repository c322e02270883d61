"""`X-Registry-Auth`: how a login goes to the daemon with one request."""

from __future__ import annotations

from sampan.cli.credentials import saved
from sampan.client import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.credentials.saved import Login
    from sampan.client.documents import Document


def headers_for(config: Document, image: str) -> list[tuple[str, str]]:
    """The header for the registry of an image's name, by config.json; none where nothing is known of it.

    A helper that fails counts as one that knows nothing, as it does for docker: an image that all may read needs no login.
    """
    from sampan.cli.credentials.keychain import KeychainFailed

    try:
        login = saved.find(config, saved.key_of_image(image))
    except KeychainFailed:
        return []
    return [("X-Registry-Auth", encoded(login))] if login else []


def every_login(config: Document) -> list[tuple[str, str]]:
    """The header of a build, which may ask any registry: all that config.json names, as {registry: login}. None without any."""
    from sampan.cli.credentials.keychain import KeychainFailed

    keys = [*documents.object_of(config, "auths"), *documents.object_of(config, "credHelpers")]
    found: Document = {}
    for key in dict.fromkeys(keys):
        try:
            login = saved.find(config, saved.key_of(key))
        except KeychainFailed:
            continue
        if login:
            found[key] = document(login)
    return [("X-Registry-Config", _url_base64(found))] if found else []


def encoded(login: Login) -> str:
    """A login as the header's value: JSON in base64 of the URL's alphabet."""
    return _url_base64(document(login))


def _url_base64(value: Document) -> str:
    from binascii import b2a_base64

    text = documents.write(value).encode()
    return str(b2a_base64(text, newline=False).translate(bytes.maketrans(b"+/", b"-_")), "ascii")


def document(login: Login) -> Document:
    """A login as the API's AuthConfig."""
    members = {
        "username": login.username,
        "password": login.password,
        "serveraddress": login.registry,
        "identitytoken": login.identity_token,
        "registrytoken": login.registry_token,
    }
    return {name: value for name, value in members.items() if value}
