"""The release of this program, as `version` tells it; `pyproject.toml` reads it from here or says the same."""

VERSION = "1.0.0"
