"""Runs the measures on Sampan and on Docker, prints the table and writes docs/benchmarks.md."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import builds, fleet, host, images, limits, measures, networks, report, storage
from bench.report import Row, bounded, compared
from bench.samples import Samples
from tests.daemons import Daemon, Docker, Sampan, entry_point, running_sampan
from tests.long.newest import running_newest_docker
from tests.user_namespaces import within

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Pair:
    """Both engines, running, with busybox loaded; `scale` shrinks repetitions for a quick look."""

    sampan: Sampan
    docker: Docker
    scale: float

    def times(self, wanted: int) -> int:
        return max(3, round(wanted * self.scale))


def api_lives(pair: Pair) -> list[Row]:
    rows = []
    for network, limit in (("none", 6.0), ("bridge", 7.0)):
        exited, whole = measures.lives(pair.sampan, network, pair.times(100))
        peer_exited, peer_whole = measures.lives(pair.docker, network, pair.times(20))
        rows.append(compared(f"API create+start+wait+remove, {network}", whole, peer_whole, 18))
        rows.append(bounded(f"API create → exit, {network}", exited, limit, peer_exited))
    return rows


def commands(pair: Pair) -> list[Row]:
    rows = []
    own_command = entry_point("sampan")
    for network in ("none", "bridge"):
        ours = measures.command_line(pair.sampan, ["docker"], network, pair.times(30))
        theirs = measures.command_line(pair.docker, ["docker"], network, pair.times(15))
        own = measures.command_line(pair.sampan, own_command, network, pair.times(30))
        rows.append(compared(f"docker run --rm busybox true, {network}", ours, theirs, 6))
        rows.append(
            Row(
                f"sampan run --rm busybox true, {network}",
                str(own),
                "",
                theirs.p50 / own.p50,
                "≤ docker run",
                own.p50 <= ours.p50,
            )
        )
    return rows


def execs(pair: Pair) -> list[Row]:
    rows = []
    for name, pause in (("20 ms apart", measures.PAUSE), ("back to back (hides the RCU wait)", 0.0)):
        ours = measures.execs(pair.sampan, pair.times(60), pause)
        theirs = measures.execs(pair.docker, pair.times(15), pause)
        rows.append(compared(f"API exec create+start+inspect, {name}", ours, theirs, 8))
    return rows


def at_once(pair: Pair) -> list[Row]:
    rows = []
    for network in ("none", "bridge"):
        ours = measures.at_once(pair.sampan, pair.times(100), 8, network)
        theirs = measures.at_once(pair.docker, pair.times(100), 8, network)
        name = f"{pair.times(100)} containers, 8 connections, {network}"
        rows.append(Row(name, f"{ours:.0f} /s", f"{theirs:.1f} /s", ours / theirs, "≥ 10 ×", ours / theirs >= 10))
    return rows


def memory(pair: Pair) -> list[Row]:
    idle, each = measures.memory(pair.sampan, pair.times(20))
    peer_idle, peer_each = measures.memory(pair.docker, pair.times(10))
    return [
        _megabytes("PSS per idle container, program left out", each, peer_each, 1.0),
        _megabytes("PSS of the idle engine", idle, peer_idle, 60.0),
    ]


def _megabytes(name: str, ours: float, theirs: float, limit: float) -> Row:
    shown = [f"{size / MEGABYTE:.2f} MB" for size in (ours, theirs)]
    return Row(name, shown[0], shown[1], theirs / ours, f"≤ {limit:g} MB", ours <= limit * MEGABYTE)


def ready(pair: Pair) -> list[Row]:
    ours = measures.ready_times(pair.times(5), Sampan)
    theirs = measures.ready_times(3, Docker)
    return [bounded("daemon ready after its exec", ours, 500, theirs)]


def flat(pair: Pair) -> list[Row]:
    counts = (1, round(100 * min(1, pair.scale)), round(300 * min(1, pair.scale)))
    found = measures.flatness(pair.sampan, counts, pair.times(30))
    worst = max(samples.p50 for samples in found.values()) / found[counts[0]].p50
    shown = "; ".join(f"{count}: {samples}" for count, samples in found.items())
    return [
        Row(f"create → exit with {' / '.join(map(str, counts))} running", shown, "", None, "within 1.5 ×", worst <= 1.5)
    ]


def listing(pair: Pair) -> list[Row]:
    count = round(300 * min(1, pair.scale))
    ours = measures.listing(pair.sampan, count, pair.times(20))
    theirs = measures.listing(pair.docker, count, pair.times(20))
    return [compared(f"docker ps -a, {count} containers", ours, theirs, 1)]


def storage_answers(pair: Pair) -> list[Row]:
    removed = storage.removals(pair.sampan, pair.times(50)), storage.removals(pair.docker, pair.times(20))
    files = 1_000_000 if pair.scale >= 1 else 50_000
    ours = storage.disk_usage(pair.sampan, files, pair.times(50))
    theirs = storage.disk_usage(pair.docker, files, 3)
    return [
        bounded("DELETE of a stopped container", removed[0], 5, removed[1]),
        bounded(f"GET /system/df, {files} files in a volume and a layer", ours, 50, theirs),
    ]


def copies(pair: Pair) -> list[Row]:
    files = 20_000 if pair.scale >= 1 else 2_000
    ours, theirs = (measures.copies(engine, files, pair.times(5)) for engine in (pair.sampan, pair.docker))
    return [
        compared(f"docker cp of {files} files, {way}", ours[index], theirs[index], 1)
        for index, way in enumerate(("in", "out"))
    ]


def logs(pair: Pair) -> list[Row]:
    lines = 1_000_000 if pair.scale >= 1 else 100_000
    rows = []
    for driver in ("json-file", "local"):
        ours, theirs = (measures.log_rate(engine, lines, driver) for engine in (pair.sampan, pair.docker))
        what = f"yes | head -n {lines}, {driver}"
        shown = (f"{ours:,.0f} lines/s", f"{theirs:,.0f} lines/s")
        rows.append(Row(what, *shown, ours / theirs, "≥ 4 ×", ours / theirs >= 4))
    return rows


def statistics(pair: Pair) -> list[Row]:
    count, seconds = pair.times(100), 15.0
    ours, theirs = (measures.statistics(engine, count, 1, seconds) for engine in (pair.sampan, pair.docker))
    many = measures.statistics(pair.sampan, 1, count, seconds)
    return [
        _share(f"stats of {count} containers, streamed each second", ours, theirs),
        _share(
            f"stats of one container for {count} clients", many, measures.statistics(pair.docker, 1, count, seconds)
        ),
    ]


def limited(pair: Pair) -> list[Row]:
    found = [limits.starts(engine, pair.times(count)) for engine, count in ((pair.sampan, 200), (pair.docker, 15))]
    read = [limits.readings(engine, pair.times(500)) for engine in (pair.sampan, pair.docker)]
    return [
        _added("all limits, added to a start", found, 1.0),
        _added("stats of the moment, added to a ping", read, 0.3),
    ]


def _added(name: str, found: list[tuple[Samples, Samples]], limit: float) -> Row:
    """A row whose goal is a bound on the difference between two medians, ours and the peer's."""
    added = [(more.p50 - less.p50) * 1000 for less, more in found]
    shown = [f"{each:.2f} ms" for each in added]
    return Row(name, shown[0], shown[1], None, f"p50 ≤ {limit:g} ms", added[0] <= limit)


def _share(name: str, ours: float, theirs: float) -> Row:
    shown = [f"{share * 100:.1f} % of a core" for share in (ours, theirs)]
    # Processor time is counted in hundredths of a second: little of it may be none.
    return Row(name, shown[0], shown[1], theirs / ours if ours > 0 else None, "≤ 5 % of a core", ours <= 0.05)


def archives(pair: Pair) -> list[Row]:
    rows = []
    with images.engines(pair.sampan, pair.docker) as at:
        for kind in images.KINDS:
            found = images.load_and_save(at, kind, pair.times(5))
            for index, what in enumerate(("load", "save")):
                ours, theirs = (found[engine.kind][index] for engine in at.both())
                rows.append(compared(f"docker {what}, Debian in {kind}", ours, theirs, 2))
        held = [images.peak_memory(engine) for engine in at.both()]
    rows.append(_megabytes("most memory of the daemon until then", held[0], held[1], 150.0))
    return rows


def pushes(pair: Pair) -> list[Row]:
    rows = []
    with images.engines(pair.sampan, pair.docker) as at:
        for kind in images.KINDS:
            found = images.push(at, kind, pair.times(5))
            ours, theirs = (found[engine.kind] for engine in at.both())
            rows.append(compared(f"docker push, Debian in {kind}", ours, theirs, 2))
    return rows


def pulls(pair: Pair) -> list[Row]:
    rows = []
    with images.engines(pair.sampan, pair.docker) as at:
        for kind in images.KINDS:
            found = images.pull(at, kind, "gzip", pair.times(5))
            ours, theirs = (found[engine.kind] for engine in at.both())
            rows.append(compared(f"docker pull, gzip, Debian in {kind}", ours, theirs, 2))
            own = images.pull(at, kind, "zstd", pair.times(5))[pair.sampan.kind]
            rows.append(compared(f"docker pull, zstd (Docker: gzip), Debian in {kind}", own, theirs, 2))
        held = [images.peak_memory(engine) for engine in at.both()]
    rows.append(_megabytes("most memory of the daemon until then", held[0], held[1], 150.0))
    return rows


def unpacking(pair: Pair) -> list[Row]:
    ours, theirs = images.unpacking(pair.times(5))
    ratio = min(ours.seconds) / min(theirs.seconds)
    name = "a layer unpacked, beside GNU tar; the best of each"
    return [Row(name, str(ours), f"{theirs} (tar)", 1 / ratio, "≤ 1.2 × tar's time", ratio <= 1.2)]


def traffic(pair: Pair) -> list[Row]:
    """Beside Docker's newest release, which has IPv6 as a matter of course; the lives beside the one of the other measures."""
    added, peer_added = (networks.part_of_a_start(engine, pair.times(100)) for engine in (pair.sampan, pair.docker))
    shown, peer_shown = (f"{seconds * 1000:.1f} ms" for seconds in (added, peer_added))
    name = "network part of a start, bridge less none, p50"
    rows = [Row(name, shown, peer_shown, peer_added / added, "< 3 ms", added < 0.003)]
    with running_sampan(within=networks.OWN_HOST) as alone, running_newest_docker() as newest:
        peer = f"Docker {version_of(newest)}"
        with networks.site(alone) as ours, networks.site(newest) as theirs:
            for way in networks.WAYS:
                for version in (4, 6):
                    best = [max(one) for one in networks.rates((ours, theirs), way, version, pair.times(10))]
                    shown, peer_shown = (f"{rate / 1e9:.2f} Gbit/s" for rate in best)
                    ratio = best[0] / best[1]
                    name = f"iperf3, {way}, IPv{version}, the best of {pair.times(10)} ({peer})"
                    rows.append(Row(name, shown, peer_shown, ratio, "≥ 0.95 ×", ratio >= 0.95))
            own, peer_own = (networks.names_of_containers(engine, 3.0) for engine in (alone, newest))
            kept = networks.names_of_the_cache(alone, 3.0)
    name = f"DNS answers, names of containers ({peer})"
    rows.append(Row(name, f"{own:,.0f} /s", f"{peer_own:,.0f} /s", own / peer_own, "≥ 5,000 /s", own >= 5000))
    rows.append(Row("DNS answers, from the cache", f"{kept:,.0f} /s", "", None, "≥ 5,000 /s", kept >= 5000))
    return rows


def user_namespaces(pair: Pair) -> list[Row]:
    """Against a start without: cold with a range of its own, and from a slot of a daemon that remaps."""
    # No slot is even taken for it.
    cold: dict[str, object] = {"IpcMode": "host"}
    with tempfile.TemporaryDirectory() as directory:
        ranges = within(Path(directory), "daemon:300000:65536\n")
        pool = ("--userns-pool", "700000:2000000")
        with running_sampan(*pool) as plain, running_sampan("--userns-remap", "daemon", within=ranges) as remapped:
            for engine in (plain, remapped):
                engine.load_busybox()
            auto: dict[str, object] = {"UsernsMode": "auto"}
            forms = [(plain, cold), (plain, {**cold, **auto}), (plain, {}), (remapped, {}), (plain, auto)]
            engines, hosts = [one for one, _ in forms], [host for _, host in forms]
            found = measures.in_turns(engines, hosts, pair.times(100))
    rows = []
    names = ("--userns auto, cold", "userns-remap, from a slot", "--userns auto, from a slot")
    for name, without, with_users in zip(
        names, (found[0], found[2], found[2]), (found[1], found[3], found[4]), strict=True
    ):
        more = 1000 * (with_users.p50 - without.p50)
        shown = f"{with_users} (without: {without})"
        rows.append(Row(f"API create → exit, {name}", shown, "", None, "p50 ≤ 3 ms more", more <= 3.0))
    return rows


def built(pair: Pair) -> list[Row]:
    ours, *theirs = builds.builders(pair.sampan, pair.docker)
    files = 20_000 if pair.scale >= 1 else 2_000
    steps = {one.name: builds.ten_steps(one, pair.times(5)) for one in (ours, *theirs)}
    contexts = {one.name: builds.context(one, files, pair.times(5)) for one in (ours, *theirs)}
    rows = []
    for peer, goals in zip(theirs, ((6.0, 1.0), (6.0, 3.0)), strict=True):
        for index, what in enumerate(("ten small RUNs, no cache", "the same again, from the cache")):
            found = (steps[ours.name][index], steps[peer.name][index])
            rows.append(compared(f"build: {what}; {peer.name}", *found, goals[index]))
        again = (contexts[ours.name][1], contexts[peer.name][1])
        rows.append(compared(f"build: {files} unchanged files again; {peer.name}", *again, 1))
    one, four = (builds.stages(ours, count, pair.times(3)) for count in (1, builds.STAGES))
    used = builds.STAGES * one.p50 / four.p50
    shown = (f"{four} (one: {one})", str(builds.stages(theirs[1], builds.STAGES, 3)))
    return [*rows, Row(f"build: {builds.STAGES} stages at once", *shown, used, "≥ 1.6 processors", used >= 1.6)]


def built_by_buildx(pair: Pair) -> list[Row]:
    """The newest Docker's client and engine; its client also on Sampan."""
    files = 20_000 if pair.scale >= 1 else 2_000
    with running_newest_docker() as newest:
        newest.load_busybox()
        peer = f"Docker {version_of(newest)}, buildx on both"
        with builds.with_buildx(pair.sampan, newest) as (ours, theirs):
            steps = [builds.ten_steps(one, pair.times(5)) for one in (ours, theirs)]
            changed = [builds.changed(one, files, pair.times(5)) for one in (ours, theirs)]
    return [
        compared(f"build: ten small RUNs, no cache; {peer}", steps[0][0], steps[1][0], 6),
        compared(f"build: the same again, from the cache; {peer}", steps[0][1], steps[1][1], 3),
        compared(f"build: one of {files} files changed; {peer}", changed[0], changed[1], 1),
    ]


# Those that delete many files come last: an ext4 without a journal does not use an inode again for minutes after its removal,
# and looks past each of them for a free one at every file that it makes.
MEASURES: dict[str, Callable[[Pair], list[Row]]] = {
    "ready": ready,
    "memory": memory,
    "lives": api_lives,
    "commands": commands,
    "execs": execs,
    "users": user_namespaces,
    "at-once": at_once,
    "flat": flat,
    "listing": listing,
    "thousand": lambda pair: fleet.rows(pair.times(fleet.MOST)),
    "logs": logs,
    "stats": statistics,
    "limits": limited,
    "archives": archives,
    "pushes": pushes,
    "pulls": pulls,
    "network": traffic,
    "builds": built,
    "buildx": built_by_buildx,
    "copies": copies,
    "unpacking": unpacking,
    "storage": storage_answers,
}


def version_of(engine: Daemon) -> str:
    """The engine's own word for its version."""
    answer = engine.api("GET", "/version").json()
    assert isinstance(answer, dict)
    return str(answer["Version"])


def main() -> int:
    """Entry point of `bench/run`."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument(
        "only",
        nargs="*",
        choices=[*MEASURES, []],
        help="measures to run; without any, all, and docs/benchmarks.md is written",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions; not written unless asked for")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write what was measured, and leave the other measures in the document as they are",
    )
    options = parser.parse_args()
    moves = host.idle_moves()
    for tree, samples in moves.items():
        print(f"one idle move between control groups, {tree}: {samples}", flush=True)
    if shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin") is None:
        print("no dockerd here (Debian package docker.io): there is nothing to compare with", file=sys.stderr)
        return 1
    sampan, docker = Sampan(), Docker()
    rows: dict[str, list[Row]] = {}
    try:
        for engine in (sampan, docker):
            engine.start()
            engine.load_busybox()
        versions = [version_of(engine) for engine in (sampan, docker)]
        print(f"Sampan {versions[0]} beside Docker {versions[1]}", flush=True)
        pair = Pair(sampan, docker, 0.1 if options.quick else 1.0)
        for name in (name for name in MEASURES if not options.only or name in options.only):
            found = rows[name] = MEASURES[name](pair)
            print(json.dumps([row.cells() for row in found], ensure_ascii=False), file=sys.stderr, flush=True)
    finally:
        sampan.remove()
        docker.remove()
    print(report.text([row for found in rows.values() for row in found]))
    if options.write or (not options.only and not options.quick):
        report.keep(rows, moves, versions, quick=options.quick)
        report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
