"""syslog: RFC 3164 and 5424 in the forms that Docker writes, over udp, tcp, tls and unix sockets."""

import os
import ssl
import time
from collections.abc import Mapping

from sampan.logs.shipped_options import facility, syslog_address
from sampan.logs.shipping.jobs import Facts
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Datagrams, Stream, Undelivered

_INFO, _ERROR = 6, 3
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")
_SECOND = 1_000_000_000


class Syslog:
    """Implements `senders.Sender`."""

    def __init__(self, options: Mapping[str, str], facts: Facts) -> None:
        kind, host, port = syslog_address(options.get("syslog-address", ""))
        self._kind = kind
        self._format = options.get("syslog-format", "")
        self._facility = facility(options.get("syslog-facility", "")) << 3
        self._tag = facts.tag
        self._hostname = facts.hostname
        self._process = os.getpid()
        self._options = options
        self._to: Stream | Datagrams | None = None if not kind else _transport(kind, host, port, options)

    async def send(self, records: list[Record]) -> None:
        """See the Protocol."""
        to = self._to or await self._local()
        messages = [self._message(record) for record in records]
        try:
            if isinstance(to, Stream):
                await to.send(b"".join(messages))
                return
        except (OSError, ssl.SSLError) as error:
            raise Undelivered(error, 0) from error
        for number, message in enumerate(messages):
            try:
                await to.send(message)
            except OSError as error:
                raise Undelivered(error, number) from error

    async def close(self) -> None:
        """See the Protocol."""
        if self._to is not None:
            await self._to.close()

    async def _local(self) -> Stream | Datagrams:
        """The machine's own syslog, wherever it listens."""
        for path in _LOCAL:
            for to in (Datagrams("unixgram", path, 0), Stream("unix", path, 0)):
                try:
                    await to.send(b"")
                except OSError:
                    continue
                self._to = to
                return to
        raise Undelivered(OSError("Unix syslog delivery error"), 0)

    def _message(self, record: Record) -> bytes:
        priority = self._facility | (_ERROR if record.stream == 2 else _INFO)
        head = self._head(priority, record.time_ns).encode("utf-8", "replace")
        message = head + record.text + b"\n"
        if self._kind == "tcp+tls" and self._format.startswith("rfc5424"):
            # RFC 5425: the length, so that a message may hold newlines.
            return b"%d %b" % (len(message), message)
        return message

    def _head(self, priority: int, time_ns: int) -> str:
        second, fraction = divmod(time_ns, _SECOND)
        tag, process = self._tag, self._process
        if self._format.startswith("rfc5424"):
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(second))
            if self._format == "rfc5424micro":
                moment += f".{fraction // 1000:06d}"
            zone = time.strftime("%z", time.localtime(second))
            zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
            return f"<{priority}>1 {moment}{zone} {self._hostname} {tag} {process} {tag} - "
        stamp = _stamp(second)
        if self._format == "rfc3164":
            return f"<{priority}>{stamp} {self._hostname} {tag}[{process}]: "
        return f"<{priority}>{stamp} {tag}[{process}]: "


def _stamp(second: int) -> str:
    """RFC 3164's time, in the machine's zone: `Nov  6 09:05:01`."""
    at = time.localtime(second)
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][at.tm_mon - 1]
    return f"{month} {at.tm_mday:2d} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"


def _transport(kind: str, host: str, port: int, options: Mapping[str, str]) -> Stream | Datagrams:
    if kind in ("udp", "unixgram"):
        return Datagrams(kind, host, port)
    return Stream(kind, host, port, (lambda: _tls(options)) if kind == "tcp+tls" else None)


def _tls(options: Mapping[str, str]) -> ssl.SSLContext:
    """Read anew for each connection, so that certificates can be exchanged. Raises OSError."""
    context = ssl.create_default_context(cafile=options.get("syslog-tls-ca-cert") or None)
    if "syslog-tls-skip-verify" in options:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("syslog-tls-cert") or options.get("syslog-tls-key"):
        context.load_cert_chain(options.get("syslog-tls-cert", ""), options.get("syslog-tls-key", ""))
    return context
