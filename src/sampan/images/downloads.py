"""Blobs on their way from a registry into the content store. Whoever wants one that is on its way joins in.

begin ──▶ a lane ──▶ partial blob ◀── registry, from where an earlier one broke off
                        │ cut: "Retrying in 5 seconds", and on from there
                        ▼
                  verified, in the store ──▶ everyone who waits
"""

import errno
import threading

from sampan.content.partial import ContentTruncated, DigestMismatch, Partial
from sampan.content.store import Content
from sampan.errors import InvalidParameter, SampanError, System, host_words
from sampan.images.lanes import Lanes
from sampan.images.references import short_id
from sampan.images.steps import Cancellation, Meter, Report, Step, count_down
from sampan.registry.faults import Unreachable
from sampan.registry.protocol import Source
from sampan.spec.ids import Digest, parse_digest
from sampan.spec.oci_image import Descriptor

_CHUNK = 1 << 18
_PARTIAL_WAIT = 30.0
"""Seconds that a blob may stay in the hands of another operation, which can only be one that is ending."""


class _Download:
    """One blob on its way, and who watches it."""

    def __init__(self, repository: Source, descriptor: Descriptor) -> None:
        self.repository = repository
        self.descriptor = descriptor
        self.digest = parse_digest(descriptor.digest)
        self.cancellation = Cancellation()
        self.error: BaseException | None = None
        self.finished = False
        self._lock = threading.Lock()
        self._last: Step | None = None
        self._watches: list[Watch] = []

    def report(self, step: Step) -> None:
        with self._lock:
            self._last = step
            watches = list(self._watches)
        for watch in watches:
            watch.report(step)

    def join(self, watch: "Watch") -> bool:
        """Whether there is still something to watch."""
        with self._lock:
            if self.finished or self.cancellation.asked:
                return False
            self._watches.append(watch)
            last = self._last
        if last is not None:
            watch.report(last)
        return True

    def leave(self, watch: "Watch") -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
            if not self._watches and not self.finished:
                self.cancellation.cancel()

    def finish(self, error: BaseException | None) -> None:
        with self._lock:
            self.error = error
            self.finished = True
            watches = list(self._watches)
        for watch in watches:
            watch.woken.set()


class Watch:
    """One pull's interest in a blob."""

    def __init__(self, repository: Source, descriptor: Descriptor, report: Report) -> None:
        self.repository = repository
        self.descriptor = descriptor
        self.report = report
        self.woken = threading.Event()
        self.lock = threading.Lock()
        """held by whichever of several waiters begins anew"""
        self.download: _Download | None = None
        self.owned = False
        """Whether the download is this one's own, with its own credentials."""

    def release(self) -> None:
        """No more interest; with the last one's the download is called off."""
        if self.download is not None:
            self.download.leave(self)


class Downloads:
    """All downloads of one daemon. Any thread may call."""

    def __init__(self, content: Content, limit: int = 3, attempts: int = 5, second: float = 1.0) -> None:
        """At most `limit` at once, each tried `attempts` times; `second` is how long a second of waiting takes."""
        self._content = content
        self.lanes = Lanes(limit, "download")
        self._attempts = attempts
        self._second = second
        self._lock = threading.Lock()
        self._under_way: dict[Digest, _Download] = {}

    def begin(self, repository: Source, descriptor: Descriptor, report: Report) -> Watch:
        """Have a blob brought; the caller holds a lease on it, and releases the watch. Raises InvalidParameter for no digest."""
        watch = Watch(repository, descriptor, report)
        self._begin(watch)
        return watch

    def wait(self, watch: Watch, cancellation: Cancellation) -> None:
        """Until the blob is there. Raises what its download ended with, and Cancelled.

        Where it only joined in and that failed, its own credentials get their chance.
        """
        cancellation.wakes(watch.woken.set)
        while True:
            watch.woken.wait()
            cancellation.check()
            download = watch.download
            assert download is not None
            if download.error is None:
                return
            with watch.lock:
                if watch.owned and watch.download is download:
                    raise download.error
                if watch.download is download:
                    watch.woken.clear()
                    self._begin(watch)
            if cancellation.asked:
                watch.woken.set()

    def _begin(self, watch: Watch) -> None:
        fresh = _Download(watch.repository, watch.descriptor)
        with self._lock:
            present = self._under_way.get(fresh.digest)
            if present is not None and present.join(watch):
                watch.download, watch.owned = present, False
                return
            fresh.join(watch)
            watch.download, watch.owned = fresh, True
            self._under_way[fresh.digest] = fresh
        waiting = Step("Waiting", short_id(fresh.digest))
        try:
            self.lanes.submit(lambda: self._run(fresh), lambda: fresh.report(waiting))
        except System as error:
            # Others may have joined in meanwhile: all hear of it.
            self._end(fresh, error)

    def _run(self, download: _Download) -> None:
        error: BaseException | None = None
        try:
            self._bring(download)
        except BaseException as caught:  # noqa: BLE001 - a thread's end: whoever waits raises it
            error = caught
        self._end(download, error)

    def _end(self, download: _Download, error: BaseException | None) -> None:
        with self._lock:
            if self._under_way.get(download.digest) is download:
                del self._under_way[download.digest]
        download.finish(error)

    def _bring(self, download: _Download) -> None:
        attempt = 1
        while True:
            try:
                download.cancellation.check()
                self._attempt(download)
                return
            except SampanError as error:
                if attempt >= self._attempts or not _may_pass(error):
                    raise
                self._pause(download, attempt * 5)
                attempt += 1

    def _pause(self, download: _Download, seconds: int) -> None:
        name = short_id(download.digest)
        count_down(download.report, name, seconds, lambda: download.cancellation.sleep(self._second))

    def _attempt(self, download: _Download) -> None:
        name = short_id(download.digest)
        if not self._content.has(download.digest):
            with self._content.partial(download.digest, download.descriptor.size, _PARTIAL_WAIT) as partial:
                # Whoever had it until now may have brought it.
                if not self._content.has(download.digest):
                    self._complete(download, partial)
        elif self._content.size(download.digest) != download.descriptor.size:
            raise _wrong_size(download)
        download.report(Step("Download complete", name))

    def _complete(self, download: _Download, partial: Partial) -> None:
        while True:
            _fill(download, partial)
            download.report(Step("Verifying Checksum", short_id(download.digest)))
            resumed = partial.resumed
            try:
                partial.commit()
                return
            except DigestMismatch as error:
                # What an earlier transfer left may be what is wrong: once more from the start.
                if not resumed:
                    raise InvalidParameter(
                        f"filesystem layer verification failed for digest {download.digest}"
                    ) from error


def _may_pass(error: SampanError) -> bool:
    """Whether asking again may help: nobody answered in time, or the connection broke."""
    return isinstance(error, ContentTruncated) or (isinstance(error, Unreachable) and error.late)


def _wrong_size(download: _Download) -> SampanError:
    return InvalidParameter(
        f"the manifest says that {download.digest} has {download.descriptor.size} bytes: it has not"
    )


def _fill(download: _Download, partial: Partial) -> None:
    """What is missing of the blob, or as much of it as comes."""
    if partial.offset >= partial.size:
        return
    meter = Meter(download.report, "Downloading", short_id(download.digest), partial.size)
    with download.repository.blob(download.descriptor, partial.offset) as stream:
        while partial.offset < partial.size:
            download.cancellation.check()
            chunk = stream.read1(min(_CHUNK, partial.size - partial.offset))
            if not chunk:
                return
            try:
                partial.write(chunk)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    # The room that it took is given back: it would fill the disk until somebody pulls again.
                    partial.restart()
                raise System(f"cannot store {download.digest}: {host_words(error)}") from error
            meter(partial.offset)
