"""The keys that let go of an attached container: `ctrl-p,ctrl-q` as the bytes that a terminal sends. Pure."""

from sampan.errors import InvalidParameter

DEFAULT = b"\x10\x11"
_CONTROL = {
    **{chr(letter): letter - 96 for letter in range(ord("a"), ord("z") + 1)},
    "@": 0,
    "[": 27,
    "\\": 28,
    "]": 29,
    "^": 30,
    "_": 31,
}


def parse(text: str | None) -> bytes:
    """Keys in the client's notation; the default where nothing was said. Raises InvalidParameter."""
    if not text:
        return DEFAULT
    keys = bytearray()
    for word in text.split(","):
        if len(word) != 1:
            name = word.removeprefix("ctrl-")
            if name == word or name not in _CONTROL:
                raise InvalidParameter(f"Invalid detach keys ({text}) provided")
            keys.append(_CONTROL[name])
        elif ord(word) < 128:
            keys.append(ord(word))
        else:
            raise InvalidParameter(f"Invalid detach keys ({text}) provided")
    return bytes(keys)
