"""Writing config.json: whole or not at all, for its owner alone, with everything in it that this command does not know."""

from __future__ import annotations

import os

from sampan.cli.failures import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document


def read_for_change(config_dir: str) -> Document:
    """config.json as it is now. Exit where it cannot be read: what cannot be read must not be written over."""
    from sampan.cli.config import MAX_CONFIG
    from sampan.client import documents

    path = os.path.join(config_dir, "config.json")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG + 1)
        if len(data) > MAX_CONFIG:
            raise Exit(1, f"{path} is longer than {MAX_CONFIG} bytes")
        return documents.document(data) if data.strip() else {}
    except FileNotFoundError:
        return {}
    except (OSError, documents.MalformedDocument) as error:
        raise Exit(1, f"{path}: {error}") from error


def write(config_dir: str, config: Document) -> str:
    """Replace config.json (what a link leads to, where it is one); its path. Exit where that fails."""
    import json
    from pathlib import Path

    from sampan.files.atomic import write_atomic

    path = os.path.realpath(os.path.join(config_dir, "config.json"))
    try:
        os.makedirs(config_dir, mode=0o700, exist_ok=True)
        write_atomic(Path(path), json.dumps(config, indent="\t", ensure_ascii=False).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise Exit(1, f"{path}: {error.strerror}") from error
    return path
