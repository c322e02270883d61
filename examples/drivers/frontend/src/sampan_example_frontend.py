"""Images in a few lines of TOML:

# syntax=recipe
from = "debian:12"
packages = ["nginx"]
copy = { "site/" = "/var/www/html/" }
run = ["nginx", "-g", "daemon off;"]
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sampan.drivers.frontend import FrontEnd

_KEYS: dict[str, type] = {"from": str, "packages": list, "copy": dict, "env": dict, "user": str, "run": list}


class Recipe(FrontEnd):
    """`--build-arg from=IMAGE` stands in for what the file says."""

    def __init__(self, home: Path) -> None:
        """Nothing is kept."""

    def translate(self, source: str, arguments: Mapping[str, str]) -> str:
        """One stage."""
        recipe = tomllib.loads(source)
        for key, value in recipe.items():
            if key not in _KEYS:
                raise ValueError(f"unknown key {key!r} (there are: {', '.join(_KEYS)})")
            if not isinstance(value, _KEYS[key]):
                raise ValueError(f"{key} is to be a {_KEYS[key].__name__}")
        base = arguments.get("from") or recipe.get("from")
        if not base:
            raise ValueError('a recipe says what it is made from: from = "debian:12"')
        return "\n".join(_lines(base, recipe)) + "\n"


def _lines(base: str, recipe: dict[str, Any]) -> list[str]:
    lines = [f"FROM {base}"]
    lines += [f"ENV {name}={json.dumps(str(value))}" for name, value in recipe.get("env", {}).items()]
    if packages := recipe.get("packages"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        lines += ['RUN ["apt-get", "update"]', f"RUN {json.dumps(install)}"]
    lines += [f"COPY {json.dumps([what, where])}" for what, where in recipe.get("copy", {}).items()]
    lines += [f"USER {recipe['user']}"] if "user" in recipe else []
    lines += [f"CMD {json.dumps(recipe['run'])}"] if "run" in recipe else []
    return lines
