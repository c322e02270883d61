"""`docker-credential-NAME`: programs that keep logins. One word as argument, the question on stdin, the answer on stdout.

Source: github.com/docker/docker-credential-helpers, README "Credential helper protocol".
"""

from __future__ import annotations

from sampan.client import documents
from sampan.client.documents import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document

_NOT_FOUND = "credentials not found in native keychain"
_SECONDS = 60
"""A helper may ask its user to unlock a keyring."""
_LIMIT = 1 << 20


class KeychainFailed(Exception):
    """The program is not there, failed, or answered nonsense; the text says which."""


def get(program: str, key: str) -> tuple[str, str]:
    """(name, secret); both empty where the helper has none. Raises KeychainFailed."""
    code, answer = _run(program, "get", key)
    if code:
        if answer.strip() == _NOT_FOUND:
            return "", ""
        raise KeychainFailed(f"error getting credentials - err: exit status {code}, out: `{answer.strip()}`")
    try:
        found = documents.document(answer)
    except documents.MalformedDocument as error:
        raise KeychainFailed(f"error getting credentials - docker-credential-{program}: {error}") from error
    return text_of(found, "Username"), text_of(found, "Secret")


def store(program: str, key: str, name: str, secret: str) -> None:
    """Keep a secret. Raises KeychainFailed."""
    login: Document = {"ServerURL": key, "Username": name, "Secret": secret}
    code, answer = _run(program, "store", documents.write(login))
    if code:
        raise KeychainFailed(f"error storing credentials - err: exit status {code}, out: `{answer.strip()}`")


def erase(program: str, key: str) -> str:
    """Forget a secret; why that failed, or ""."""
    try:
        code, answer = _run(program, "erase", key)
    except KeychainFailed as error:
        return str(error)
    if code and answer.strip() != _NOT_FOUND:
        return f"error erasing credentials - err: exit status {code}, out: `{answer.strip()}`"
    return ""


def _run(program: str, word: str, question: str) -> tuple[int, str]:
    import subprocess

    command = f"docker-credential-{program}"
    if "/" in program:
        raise KeychainFailed(f'error with credentials helper: "{command}" is no program\'s name')
    try:
        done = subprocess.run(
            [command, word], input=question.encode(), stdout=subprocess.PIPE, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise KeychainFailed(
            f'error getting credentials - err: exec: "{command}": executable file not found in $PATH, out: ``'
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeychainFailed(f"error with credentials helper {command}: {error}") from error
    return done.returncode, str(done.stdout[:_LIMIT], "utf-8", "replace")
