"""fluentd: the forward protocol, msgpack over tcp or a unix socket; with acknowledgements where they are asked for."""

import base64
import os
import struct
from collections.abc import Mapping

import msgspec

from sampan.logs.shipped_options import fluentd_address, is_true, seconds
from sampan.logs.shipping.jobs import Facts
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import SEND_SECONDS, Stream, Undelivered

_SOURCES = {1: "stdout", 2: "stderr"}
_SECOND = 1_000_000_000
_EVENT_TIME = 0
_MOST_ACK = 1 << 16


class _Ack(msgspec.Struct):
    ack: str


class Fluentd:
    """Implements `senders.Sender`."""

    def __init__(self, options: Mapping[str, str], facts: Facts) -> None:
        self._to = Stream(*fluentd_address(options.get("fluentd-address", "")))
        self._tag = facts.tag
        self._same = {"container_id": facts.id, "container_name": f"/{facts.name.removeprefix('/')}"}
        self._extra = facts.extra
        self._fine = is_true(options.get("fluentd-sub-second-precision", ""))
        self._patience = seconds(options.get("fluentd-write-timeout", ""), SEND_SECONDS) or SEND_SECONDS
        self._acknowledged = is_true(options.get("fluentd-request-ack", ""))

    async def send(self, records: list[Record]) -> None:
        """See the Protocol."""
        events = [(self._time(record.time_ns), self._record(record)) for record in records]
        encode = msgspec.msgpack.encode
        try:
            if not self._acknowledged:
                messages = b"".join([encode([self._tag, moment, event]) for moment, event in events])
                await self._to.send(messages, self._patience)
                return
            chunk = base64.b64encode(os.urandom(16)).decode()
            await self._to.send(encode([self._tag, events, {"chunk": chunk}]), self._patience)
            await self._await_ack(chunk)
        except OSError as error:
            await self._to.close()
            raise Undelivered(error, 0) from error

    async def close(self) -> None:
        """See the Protocol."""
        await self._to.close()

    async def _await_ack(self, chunk: str) -> None:
        answer = b""
        while len(answer) < _MOST_ACK:
            more = await self._to.receive(_MOST_ACK, SEND_SECONDS)
            if not more:
                raise ConnectionError("the connection was closed before the acknowledgement")
            answer += more
            try:
                if msgspec.msgpack.decode(answer, type=_Ack).ack == chunk:
                    return
            except msgspec.ValidationError as error:
                raise ConnectionError(f"no acknowledgement: {error}") from error
            except (UnicodeDecodeError, RecursionError) as error:
                raise ConnectionError(f"no acknowledgement: {error}") from error
            except msgspec.DecodeError:
                continue
            break
        raise ConnectionError("the acknowledgement is of something else")

    def _time(self, time_ns: int) -> int | msgspec.msgpack.Ext:
        second, fraction = divmod(time_ns, _SECOND)
        return msgspec.msgpack.Ext(_EVENT_TIME, struct.pack(">II", second, fraction)) if self._fine else second

    def _record(self, record: Record) -> dict[str, str]:
        event = {**self._same, "source": _SOURCES[record.stream], "log": record.text.decode("utf-8", "replace")}
        event |= self._extra
        if (partial := record.partial) is not None:
            event["partial_message"] = "true"
            event["partial_id"] = partial.id
            event["partial_ordinal"] = str(partial.ordinal)
            event["partial_last"] = "true" if partial.last else "false"
        return event
