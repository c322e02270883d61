"""Which proxy a request goes through, by the rules of Go's `golang.org/x/net/http/httpproxy`."""

import ipaddress

from sampan.registry.settings import Proxies


def proxy_for(proxies: Proxies, scheme: str, address: str) -> str:
    """The proxy's URL for a request to `address` (host or host:port), or "". Loopback is never asked through one."""
    proxy = proxies.https if scheme == "https" else proxies.http
    host, port = split(address, "443" if scheme == "https" else "80")
    if not proxy or host == "localhost" or _is_loopback(host) or _excepted(proxies.no_proxy, host, port):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def split(address: str, default_port: str) -> tuple[str, str]:
    """Host in lower case, without brackets, and port."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host.lower(), rest.removeprefix(":") or default_port
    host, _, port = address.partition(":")
    return host.lower(), port or default_port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excepted(no_proxy: str, host: str, port: str) -> bool:
    return any(_matches(entry.strip().lower(), host, port) for entry in no_proxy.split(",") if entry.strip())


def _matches(entry: str, host: str, port: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, host)
    name, wanted_port = (entry, "") if entry.count(":") > 1 and not entry.startswith("[") else split(entry, "")
    if wanted_port not in ("", port):
        return False
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        pass
    if name.startswith(("*.", ".")):
        return host.endswith(name.removeprefix("*"))
    return host == name or host.endswith("." + name)


def _in_network(entry: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):
        return False


def masked(url: str) -> str:
    """A proxy's URL as `info` shows it: name and password are hidden."""
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    if "@" not in authority:
        return url
    return f"{scheme}{separator}xxxxx:xxxxx@{authority.rpartition('@')[2]}{slash}{path}"
