"""What registries are called: docker.io goes by several names, and its hosts by others."""

HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"
HUB_INDEX_NAME = "index.docker.io"
HUB_INDEX = "https://index.docker.io/v1/"
"""The name under which credentials of docker.io are kept."""
HUB_NAMES = frozenset((HUB, HUB_INDEX_NAME, HUB_HOST))


def familiar(domain: str, path: str) -> str:
    """`busybox` for `docker.io` and `library/busybox`: as a user writes it."""
    if domain != HUB:
        return f"{domain}/{path}"
    return path.removeprefix("library/") if path.count("/") == 1 else path
