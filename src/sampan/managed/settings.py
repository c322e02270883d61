"""What can be set of a plugin, where its configuration allows it: environment, arguments, sources of mounts, devices. Pure.

NAME[.FIELD]=VALUE        DEBUG=1, state.source=/srv, gpu.path=/dev/dri, args.value="-v -x"
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sampan.errors import System
from sampan.spec.plugins import PluginConfig, PluginSettings

MOST = 1000
"""Settings of one request."""


def initial(config: PluginConfig) -> PluginSettings:
    """What holds until somebody sets something."""
    return PluginSettings(
        args=tuple(config.args.value or ()),
        devices=tuple(config.linux.devices or ()),
        env=tuple(f"{one.name}={one.value}" for one in config.env or () if one.value is not None),
        mounts=tuple(config.mounts or ()),
    )


def carried_over(config: PluginConfig, before: PluginSettings) -> PluginSettings:
    """What holds after an upgrade to `config`: environment and arguments as they were set, where it still lets them be set.

    Mounts and devices are the new configuration's: those are what was granted with it.
    """
    settings = initial(config)
    for entry in before.env:
        name, _, value = entry.partition("=")
        if any(one.name == name and "value" in (one.settable or ()) for one in config.env or ()):
            settings = msgspec.structs.replace(settings, env=_with_entry(settings.env, _Wish(name, "", value)))
    if "value" in (config.args.settable or ()):
        settings = msgspec.structs.replace(settings, args=before.args)
    return settings


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    field: str
    value: str

    @property
    def shown(self) -> str:
        return f"{self.name}.{self.field}" if self.field else self.name


def _wish(text: str) -> _Wish:
    name, _, value = text.partition("=")
    if not name:
        raise System("invalid format, must be <name>[.<field>][=<value>]")
    if "\0" in text:
        raise System("a setting contains a NUL character")
    before, dot, field = name.rpartition(".")
    return _Wish(before, field, value) if dot and before else _Wish(name, "", value)


def changed(
    config: PluginConfig, settings: PluginSettings, wanted: Sequence[str]
) -> tuple[PluginConfig, PluginSettings]:
    """Both as they are with all of `wanted`. Raises System in Docker's words where one is not to be set; then nothing is.

    The source of a mount and the path of a device are set in the configuration, too: that is where Docker shows them.
    """
    if len(wanted) > MOST:
        raise System(f"more than {MOST} settings")
    for text in wanted:
        config, settings = _with(config, settings, _wish(text))
    return config, settings


def _with(config: PluginConfig, settings: PluginSettings, wish: _Wish) -> tuple[PluginConfig, PluginSettings]:
    replace = msgspec.structs.replace
    for env in config.env or ():
        if env.name == wish.name:
            _allow(wish, "value", env.settable)
            return config, replace(settings, env=_with_entry(settings.env, wish))
    for mount in config.mounts or ():
        if mount.name == wish.name:
            _allow(wish, "source", mount.settable)
            mounts = tuple(
                replace(one, source=wish.value) if one.name == wish.name else one for one in config.mounts or ()
            )
            return replace(config, mounts=mounts), replace(settings, mounts=mounts)
    for device in config.linux.devices or ():
        if device.name == wish.name:
            _allow(wish, "path", device.settable)
            devices = tuple(
                replace(one, path=wish.value) if one.name == wish.name else one for one in config.linux.devices or ()
            )
            linux = replace(config.linux, devices=devices)
            return replace(config, linux=linux), replace(settings, devices=devices)
    if config.args.name == wish.name:
        _allow(wish, "value", config.args.settable)
        return config, replace(settings, args=tuple(wish.value.split(" ")))
    raise System(f'setting "{wish.name}" not found in the plugin configuration')


def _allow(wish: _Wish, field: str, settable: Sequence[str] | None) -> None:
    """Raise System unless the configuration lets this field be set."""
    named = wish.field
    if not named and settable:
        if len(settable) > 1:
            raise System("multiple fields are settable, one must be specified")
        named = settable[0]
    if named != field or field not in (settable or ()):
        raise System(f'"{wish.shown}" is not settable')


def _with_entry(env: tuple[str, ...], wish: _Wish) -> tuple[str, ...]:
    entry = f"{wish.name}={wish.value}"
    if any(one.partition("=")[0] == wish.name for one in env):
        return tuple(entry if one.partition("=")[0] == wish.name else one for one in env)
    return (*env, entry)
