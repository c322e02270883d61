"""What can be wrong with a plugin. All are `SampanError`s, in Docker's words where it has some."""

from sampan.errors import NotFound, System

_LONGEST = 4096
"""Letters of a plugin's own message that are passed on."""


class PluginNotFound(NotFound):
    """No place has a plugin of that name, or the name cannot be one."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name[:256]}" not found')


class PluginFailed(System):
    """Base of what goes wrong with a plugin that is there."""


class WrongKind(PluginFailed):
    """The plugin answers, and is no driver of the kind that was asked for."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"legacy plugin: Plugin does not implement the requested driver: "
            f'plugin="{name}", requested implementation="{kind}"'
        )


class PluginAway(PluginFailed):
    """Nobody listens at the plugin's address: it was not reached, so nothing was done."""


class PluginBroke(PluginFailed):
    """The plugin was reached and did not answer as it should: too late, too much, no HTTP, no JSON. What it did is unknown."""


class PluginRefused(PluginFailed):
    """The plugin answered that it cannot. `status` is HTTP's, 200 where only its `Err` says so."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message[:_LONGEST])
        self.status = status
