"""PostgreSQL, of Debian's packages, under pgbench, while everything around the two containers is killed: no transaction fails.

DURATION sets for how many seconds (90), SEED repeats a run's kills. The image is made once, by mmdebstrap, and kept in `.build`.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.daemons import PROJECT, Sampan, running_sampan
from tests.kills import Load
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [
    requires("root", "overlay", "netns", "bridge", "veth", "busybox", "docker-client", "mmdebstrap"),
    pytest.mark.crash,
]

SECONDS = int(os.environ.get("DURATION", "90"))
ROOT = PROJECT / ".build" / "postgres.tar"
SERVE = """
install -d -o postgres -g postgres -m 700 /data/db /run/postgresql
cd /usr/lib/postgresql/*/bin
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
[ -e /data/db/PG_VERSION ] || as ./initdb --auth=trust --data-checksums -D /data/db >/dev/null
echo 'host all all all trust' >>/data/db/pg_hba.conf
exec setpriv --reuid=postgres --regid=postgres --clear-groups ./postgres -D /data/db -c listen_addresses='*'
"""
SUMS = (
    "SELECT sum(abalance) FROM pgbench_accounts",
    "SELECT sum(bbalance) FROM pgbench_branches",
    "SELECT sum(tbalance) FROM pgbench_tellers",
    "SELECT sum(delta) FROM pgbench_history",
)


@pytest.fixture(scope="module")
def debian() -> Path:
    """A minimal Debian with PostgreSQL, as a tar."""
    if not ROOT.exists():
        fresh = ROOT.with_suffix(".new")
        command = ["mmdebstrap", "--variant=minbase", "--format=tar", "--include=postgresql", "bookworm", str(fresh)]
        # Its mounts are seen by nobody else.
        subprocess.run(["unshare", "--mount", "--propagation", "private", *command], check=True, timeout=900)
        shutil.move(fresh, ROOT)
    return ROOT


@pytest.fixture
def engine(debian: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sampan]:
    # What a daemon writes down as it is killed is no line.
    monkeypatch.setattr(Sampan, "answers", None)
    with running_sampan() as started:
        started.load_busybox()
        assert started.sampan("import", str(debian), "postgres:debian", timeout=600).code == 0
        yield started


def query(engine: Sampan, statement: str) -> str:
    done = engine.docker("exec", "db", "psql", "-U", "postgres", "-Atc", statement)
    assert done.code == 0, done
    return done.text


def serve(engine: Sampan) -> None:
    """The database, initialised for pgbench, under its name in a network."""
    assert engine.docker("network", "create", "--subnet", "10.219.78.0/24", "ours").code == 0
    place = ("--network", "ours", "-v", "data:/data", "--shm-size", "256m")
    assert engine.docker("run", "-d", "--name", "db", *place, "postgres:debian", "bash", "-ec", SERVE).code == 0
    eventually(lambda: engine.docker("exec", "db", "pg_isready", "-h", "db").code == 0, "no PostgreSQL")
    made = engine.docker("exec", "db", "pgbench", "-U", "postgres", "-iq", "-s", "4", "postgres", timeout=300)
    assert made.code == 0, made


def kill_one(engine: Sampan, dice: random.Random, spared: set[str]) -> str:
    """Who was killed: the daemon, the launcher, sampan-net, or a monitor that none of the two has."""
    victim = dice.choice(("daemon", "launcher", "resolver", "monitor"))
    below = str(engine.directory)
    if victim == "daemon":
        engine.kill()
        engine.start()
        return victim
    if victim == "launcher":
        found = processes.launchers(below)
    elif victim == "monitor":
        found = [one for one in processes.monitors(below) if not any(name in one.title for name in spared)]
    else:
        found = [one for one in processes.holding_sockets_below(below) if one.title.startswith("sampan-net")]
    if not found:
        return ""
    try:
        os.kill(dice.choice(found).pid, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    return victim


def test_no_transaction_fails(engine: Sampan) -> None:
    serve(engine)
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)
    bench = ("pgbench", "-h", "db", "-U", "postgres", "-n", "-c", "4", "-T", str(SECONDS), "-P", "10", "postgres")
    started = engine.docker("run", "-d", "--name", "bench", "--network", "ours", "postgres:debian", *bench)
    assert started.code == 0, started
    spared = {engine.docker("inspect", "-f", "{{.Id}}", name).text[:12] for name in ("db", "bench")}
    killed: Counter[str] = Counter()
    end = time.monotonic() + SECONDS
    with Load(engine):
        while time.monotonic() < end - 2:
            time.sleep(dice.uniform(0, 0.4))
            if victim := kill_one(engine, dice, spared):
                killed[victim] += 1
    ended = engine.docker("wait", "bench", timeout=SECONDS + 60)
    said = engine.docker("logs", "bench")
    report = (said.out + said.err).decode()
    print(f"seed {seed}, killed {dict(killed)}\n{report}")
    assert ended.text == "0", report
    assert {"daemon", "launcher"} <= set(killed), killed
    assert "number of failed transactions: 0 (0.000%)" in report
    counted = re.search(r"number of transactions actually processed: (\d+)", report)
    assert counted is not None
    assert int(counted[1]) > SECONDS
    is_consistent(engine, int(counted[1]))
    # And so it is after an end and another start, from what is on the disk.
    assert engine.docker("stop", "-s", "INT", "-t", "60", "db", timeout=90).code == 0
    assert engine.docker("inspect", "-f", "{{.State.ExitCode}}", "db").text == "0"
    assert engine.docker("start", "db").code == 0
    eventually(lambda: engine.docker("exec", "db", "pg_isready", "-h", "db").code == 0, "no PostgreSQL")
    is_consistent(engine, int(counted[1]))
    assert engine.sampan("system", "check").code == 0
    assert engine.docker("rm", "-fv", "db", "bench").code == 0
    assert engine.docker("network", "rm", "ours").code == 0


def is_consistent(engine: Sampan, transactions: int) -> None:
    """Every transaction moved the same amount in all tables, and each is in the history once; no page or index is broken."""
    assert query(engine, "SELECT count(*) FROM pgbench_history") == str(transactions)
    assert len({query(engine, statement) for statement in SUMS}) == 1
    every = "exec /usr/lib/postgresql/*/bin/pg_amcheck -U postgres --install-missing --heapallindexed postgres"
    checked = engine.docker("exec", "db", "sh", "-c", every)
    assert checked.code == 0, checked
