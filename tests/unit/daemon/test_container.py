"""A container in memory: states, who waits, times, what image and defaults add, mounts of requests."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from sampan.daemon import merge, mounts
from sampan.daemon.config import load
from sampan.daemon.container import Container
from sampan.daemon.definition import Definition, decode_definition, decode_state, encode
from sampan.daemon.flags import parse
from sampan.daemon.list import status_text
from sampan.daemon.mount_words import MountPoint
from sampan.daemon.needs import FoundVolume
from sampan.daemon.states import State, Status
from sampan.daemon.times import go_duration, parse_time, rfc3339
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.containers import ContainerConfig, CreateRequest
from sampan.spec.document import EMPTY
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId, ImageId
from sampan.spec.images import ImageConfig
from sampan.spec.mounts import BindOptions, Mount, TmpfsOptions, VolumeOptions
from sampan.spec.requests import WaitCondition

DEFINITION = Definition(
    id=ContainerId("ab" * 32),
    name="web",
    created_ns=5,
    image="i",
    image_id=None,
    config=ContainerConfig(cmd=("a",), labels={"x": "y"}),
    host=HostConfig(memory=7, tmpfs={"/t": ""}),
    path="a",
    mounts=(MountPoint(type="volume", name="v", destination="/v"),),
)


def test_records_come_back_as_they_were() -> None:
    assert decode_definition(encode(DEFINITION)) == DEFINITION
    state = State(status=Status.EXITED, exit_code=3, started_ns=1, finished_ns=2)
    assert decode_state(encode(state)) == state


def test_states_follow_the_table() -> None:
    running = State().to(Status.RUNNING, pid=5)
    assert (running.running, running.alive, running.pid) == (True, True, 5)
    assert State(status=Status.RESTARTING).running
    assert not State(status=Status.RESTARTING).alive
    with pytest.raises(Conflict, match="created cannot become paused"):
        State().to(Status.PAUSED)
    with pytest.raises(Conflict, match="running cannot become removing"):
        running.to(Status.REMOVING)


def test_who_waits_is_woken() -> None:
    async def body() -> None:
        container = Container(DEFINITION, State(exit_code=4))
        assert (await container.wait(WaitCondition.NOT_RUNNING)).status_code == 4
        following = container.wait(WaitCondition.NEXT_EXIT)
        removal = container.wait(WaitCondition.REMOVED)
        given_up = container.wait(WaitCondition.NEXT_EXIT)
        given_up.cancel()
        container.state = container.state.to(Status.RUNNING)
        over = container.wait(WaitCondition.NOT_RUNNING)
        assert not over.done()
        container.state = container.state.to(Status.EXITED, exit_code=9)
        container.tell_exit()
        assert [(await waiter).status_code for waiter in (following, over)] == [9, 9]
        assert not removal.done()
        container.tell_removed("why")
        answer = await removal
        assert answer.error is not None
        assert answer.error.message == "why"
        await asyncio.sleep(0)
        assert container._exit_waiters == set()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (10**9, "1970-01-01T00:00:01Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        # What utimensat(2) takes on tmpfs.
        (9 * 10**27, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_times(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (5, "5ns"),
        (1500, "1.5µs"),
        (100 * 10**6, "100ms"),
        (1_000_000_001, "1.000000001s"),
        (30 * 10**9, "30s"),
        (90 * 10**9, "1m30s"),
        (3600 * 10**9, "1h0m0s"),
    ],
)
def test_durations_of_go(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text


def test_times_of_filters() -> None:
    now = 10**18
    assert parse_time("5", now) == 5 * 10**9
    assert parse_time("1.5", now) == 1_500_000_000
    assert parse_time("1h30m", now) == now - 5400 * 10**9
    assert parse_time("1970-01-01T00:00:02Z", now) == 2 * 10**9
    with pytest.raises(InvalidParameter):
        parse_time("yesterday", now)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(status=Status.RUNNING, started_ns=10**9), "Up 4 seconds"),
        (State(status=Status.EXITED, exit_code=7, started_ns=1, finished_ns=3 * 10**9), "Exited (7) 2 seconds ago"),
        (State(status=Status.RESTARTING, exit_code=1, finished_ns=4 * 10**9), "Restarting (1) 1 second ago"),
    ],
)
def test_status_lines(state: State, text: str) -> None:
    async def body() -> str:
        return status_text(Container(DEFINITION, state), 5 * 10**9)

    assert asyncio.run(body()) == text


IMAGE = ImageConfig(
    user="app",
    env=("A=1", "B=2"),
    cmd=("run",),
    entrypoint=("ep",),
    working_dir="/w",
    labels={"l": "image", "m": "image"},
    volumes={"/data": EMPTY},
    exposed_ports={"80/tcp": EMPTY},
    stop_signal="INT",
)


def test_what_an_image_adds() -> None:
    merged = merge.with_image(CreateRequest(image="i", env=("B=3",), labels={"l": "mine"}), IMAGE)
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("app", "/w", "INT")
    assert merged.env == ("B=3", "A=1")
    assert merged.labels == {"l": "mine", "m": "image"}
    assert merge.program(merged) == ("ep", ("run",))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (CreateRequest(cmd=("x",)), ("ep", "x")),
        (CreateRequest(entrypoint=("e2",)), ("e2",)),
        (CreateRequest(entrypoint=("",), cmd=("x",)), ("x",)),
        (CreateRequest(entrypoint=("e2",), cmd=("x",)), ("e2", "x")),
    ],
)
def test_entry_points(request_: CreateRequest, words: tuple[str, ...]) -> None:
    path, arguments = merge.program(merge.with_image(request_, IMAGE))
    assert (path, *arguments) == words


def test_nothing_to_run() -> None:
    with pytest.raises(InvalidParameter, match=r"^no command specified$"):
        merge.with_image(CreateRequest(), None)
    assert merge.with_image(CreateRequest(cmd=("a",), working_dir="/a/../b/./c"), None).working_dir == "/b/c"


def test_defaults_of_the_daemon() -> None:
    defaults = load(parse(["--config-file", "/dev/null", "--default-shm-size", "1m", "--log-opt", "max-size=1m"]))
    host = merge.with_defaults(HostConfig(memory=1 << 25), defaults, cgroup_v2=False, thermal=())
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode, host.shm_size) == (
        "bridge",
        "private",
        "host",
        1 << 20,
    )
    assert host.memory_swap == 1 << 26
    assert host.log_config.config == {"max-size": "1m"}
    assert host.restart_policy.name == "no"
    assert host.masked_paths is not None
    v2 = merge.with_defaults(HostConfig(privileged=True), defaults, cgroup_v2=True, thermal=())
    assert (v2.cgroupns_mode, v2.masked_paths, v2.security_opt) == ("private", None, ("label=disable",))


class Volumes:
    def __init__(self) -> None:
        self.made: list[str] = []

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> FoundVolume:
        name = name or f"anonymous{len(self.made)}"
        self.made.append(name)
        return FoundVolume(name, driver or "local", f"/volumes/{name}")

    def get(self, name: str) -> FoundVolume:
        return FoundVolume(name, "local", f"/volumes/{name}")

    async def populate(self, name: str, image_root: int, path: str) -> None:
        raise AssertionError

    async def remove_anonymous(self, name: str) -> None:
        raise AssertionError


def plan(host: HostConfig, config: ContainerConfig | None = None, socket: str = "") -> tuple[MountPoint, ...]:
    def find(reference: str) -> Container:
        raise NotFound(f"No such container: {reference}")

    planner = mounts.MountPlanner(Volumes(), find, lambda name: ImageId("sha256:" + name), socket)
    return asyncio.run(planner.plan(host, config or ContainerConfig(), []))


def test_mounts_in_dockers_order() -> None:
    config = ContainerConfig(volumes={"/data": EMPTY, "/tmp/x": EMPTY, "/named": EMPTY})
    points = plan(HostConfig(binds=("vol:/named",), tmpfs={"/tmp/x": "size=1m"}), config)
    assert [(point.type, point.name, point.destination, point.listed) for point in points] == [
        ("volume", "vol", "/named", True),
        ("volume", "anonymous1", "/data", True),
        ("tmpfs", "", "/tmp/x", False),
    ]


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(binds=("a1:/x", "b1:/x")), "Duplicate mount point: /x"),
        (HostConfig(binds=("a1:/x",), tmpfs={"/x": ""}), "Duplicate mount point: /x"),
        (HostConfig(volumes_from=("nobody",)), "No such container: nobody"),
        (
            HostConfig(mounts=(Mount(type="bind", source="/no/such", target="/x"),)),
            "bind source path does not exist: /no/such",
        ),
        (HostConfig(mounts=(Mount(type="bind", target="/x"),)), "field Source must not be empty"),
        (HostConfig(mounts=(Mount(type="tmpfs", source="x", target="/x"),)), "field Source must not be specified"),
        (
            HostConfig(mounts=(Mount(type="what", target="/x"),)),
            'invalid mount config for type "what": mount type unknown',
        ),
        (HostConfig(mounts=(Mount(type="volume", target="x"),)), "mount path must be absolute"),
        (
            HostConfig(
                mounts=(Mount(type="volume", source="v1", target="/x", volume_options=VolumeOptions(subpath="../y")),)
            ),
            "subpath must be a relative path within the volume",
        ),
        (
            HostConfig(
                mounts=(Mount(type="bind", source="/", target="/x", bind_options=BindOptions(propagation="all")),)
            ),
            "invalid propagation mode: all",
        ),
    ],
)
def test_mounts_that_are_refused(host: HostConfig, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        plan(host)
    assert text in str(caught.value)


def test_images_and_parts_of_volumes() -> None:
    image = Mount(type="image", source="web", target="/x")
    part = Mount(type="volume", source="data", target="/y", volume_options=VolumeOptions(subpath="a/b"))
    first, second = plan(HostConfig(mounts=(image, part)))
    assert (first.type, first.name, first.image, first.rw) == ("image", "web", "sha256:web", False)
    assert (second.subpath, second.nocopy) == ("a/b", True)


def test_a_missing_docker_socket_is_our_own() -> None:
    if Path("/run/docker.sock").exists():
        pytest.skip("this machine has Docker's socket")
    (point,) = plan(HostConfig(binds=("/run/docker.sock:/run/docker.sock",)), socket="/x/sampan.sock")
    assert (point.source, point.make_source) == ("/x/sampan.sock", False)


def test_mounts_at_a_start(tmp_path: Path) -> None:
    missing = tmp_path / "made" / "here"
    points = (
        MountPoint(type="volume", name="v", destination="/a/b/c", rw=False),
        MountPoint(type="bind", source=str(missing), destination="/a", make_source=True, propagation="rslave"),
        mounts.from_mount(Mount(type="tmpfs", target="/t/t", tmpfs_options=TmpfsOptions(size_bytes=1024, mode=0o700))),
    )
    made = mounts.at_start(points, Volumes(), {"/etc/hosts": "/h", "/a": "/never"}, readonly=True)
    assert [(m.destination, m.type, m.source, m.options) for m in made] == [
        ("/a", "bind", str(missing), ("rbind", "rslave")),
        ("/t/t", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev", "mode=700", "size=1024")),
        ("/etc/hosts", "bind", "/h", ("rbind", "ro", "rro", "rprivate")),
        ("/a/b/c", "bind", "/volumes/v", ("rbind", "ro", "rro", "rprivate")),
    ]
    assert missing.is_dir()
