"""Files to build that are no Dockerfiles: the front end that their `# syntax=NAME` names translates them, where NAME is a plugin's.

docs/drivers.md has what a front end is. Any other `# syntax=` is for those who read Dockerfiles (`buildkit.frontends`).
"""

from collections.abc import Mapping

from sampan.dockerfile.script import SIZE_LIMIT, Script
from sampan.drivers.frontend import KIND, Source, Translated
from sampan.errors import InvalidParameter
from sampan.plugins.faults import PluginRefused
from sampan.plugins.places import is_plain
from sampan.plugins.plugins import Plugins

_METHOD = f"{KIND}.Translate"
_ANSWER_LIMIT = 2 * SIZE_LIMIT
"""Bytes: a Dockerfile as large as may be, as JSON."""


async def translated(plugins: Plugins, text: str, arguments: Mapping[str, str | None]) -> str:
    """The Dockerfile that `text` means: itself, but where it names a front end that is a plugin.

    Raises InvalidParameter where the front end refuses it, ParseError for lines that no file to build may have, PluginFailed.
    """
    name = _named(text)
    if not is_plain(name) or not any(name in source.names(KIND) for source in plugins.sources):
        return text
    plugin = await plugins.get(name, KIND)
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        answer = await plugin.call(_METHOD, Source(text, given), Translated, limit=_ANSWER_LIMIT)
    except PluginRefused as error:
        raise InvalidParameter(f"front end {name}: {error}") from error
    return answer.dockerfile


def _named(text: str) -> str:
    """The first word of the directive `syntax`, "" for none."""
    if not text.lstrip("\ufeff \t").startswith("#"):
        return ""
    script = Script(text)
    next(iter(script), None)
    words = next((one.value.split() for one in script.directives if one.name == "syntax"), [])
    return words[0] if words else ""
