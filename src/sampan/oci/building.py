"""The builder's side of `making`: what its child does in a small root, from the control groups to init at the gate."""

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from sampan.cgroups.plan import CgroupPlan
from sampan.errors import SampanError, System
from sampan.kernel.process import Prctl, Title, prctl
from sampan.oci import last_steps, users
from sampan.oci.containers import Container, State
from sampan.oci.opening import Opened
from sampan.oci.translate import Arrangement
from sampan.runtime import builder, group_plan, init, launcher_root, plan
from sampan.runtime.birth import Birth
from sampan.runtime.messages import Kind, Message, receive, send
from sampan.runtime.start_failure import StartFailed
from sampan.runtime.steps import StepFailed
from sampan.runtime.users import limit, map_binds
from sampan.runtime.world_plan import Step, world


@dataclass(frozen=True, slots=True)
class Building:
    """What the builder works with: `body` is what of a START message it reads."""

    container: Container
    wanted: Arrangement
    opened: Opened
    body: dict[str, Any]


def body(container: Container, wanted: Arrangement, cgroup: CgroupPlan, keyring: bool, state: State) -> dict[str, Any]:
    """What of a START message the making of a container reads. Raises System for what cannot be planned."""
    config, groups = wanted.config, cgroup.groups
    try:
        steps = world(config, container.name, groups, linked=False, preset={})
        members = plan.user_members(config)
    except StartFailed as failed:
        raise System(failed.message) from failed
    if not keyring:
        steps = [step for step in steps if step[0] != "session_keyring"]
    return {
        "id": container.name,
        "flags": int(plan.namespace_flags(config)),
        "joins": [int(flag) for _, flag in plan.joined(config)],
        "binds": len([mount for mount in config.mounts if mount.type == "bind"]),
        "world": steps,
        "before": [],
        "root": _root_steps(wanted, groups),
        "halts": bool(wanted.hooks.create_container),
        "enter": _last_steps(wanted, groups, state),
        "users": members,
        "cgroup": group_plan.body(cgroup, None),
        "init": False,
        "explain": False,
        "terminal": config.process.terminal,
        "listens": bool(config.linux.seccomp and config.linux.seccomp.listener_path),
        "oom_score_adj": config.process.oom_score_adj,
    }


def _root_steps(wanted: Arrangement, groups: dict[str, str]) -> list[Step]:
    steps = plan.root(wanted.config, groups, marker="", preset={})
    if wanted.hooks.create_container:
        # A hook writes into a root that the program will not.
        place = steps.index(["readonly_root"]) if wanted.config.root.readonly else len(steps)
        steps.insert(place, ["halt"])
    if wanted.propagation.removeprefix("r") == "shared":
        steps.insert(steps.index(["pivot"]) + 1, ["propagate", wanted.propagation])
    return steps


def _last_steps(wanted: Arrangement, groups: dict[str, str], state: State) -> list[Step]:
    steps = plan.enter(wanted.config, groups)
    if wanted.umask is not None:
        steps.append(["umask", wanted.umask])
    if wanted.hooks.start_container:
        hooks = [
            [
                hook.path,
                list(hook.args or ()),
                dict(entry.partition("=")[::2] for entry in hook.env or ()),
                hook.timeout or last_steps.LONGEST,
            ]
            for hook in wanted.hooks.start_container
        ]
        # Before the user is taken on: what it needs is opened there.
        steps.insert(0, ["start_hooks", hooks, state.told("created")])
    return steps


def build(channel: int, building: Building) -> NoReturn:
    """Be the builder. Called in a fresh child; never returns. It takes over the descriptor `channel`."""
    code = 1
    try:
        prctl(Prctl.SET_PDEATHSIG, 9)
        init.STEPS.update(last_steps.STEPS)
        opened, container = building.opened, building.container
        text = json.dumps(building.body).encode()
        build_ = builder.Build(Message(Kind.START, 0, text, [channel, *opened.binds, *opened.joins]), Title())
        try:
            launcher_root.enter(container.root, str(container.directory), -1)
            building.wanted.manner.inherit()
            _ladder(build_, building)
            code = 0
        except StepFailed as failed:
            builder.undo(build_)
            builder.tell_failure(build_.channel, failed, build_.journal)
        except (OSError, SampanError) as error:
            builder.undo(build_)
            builder.tell_failure(build_.channel, builder.unforeseen(error), build_.journal)
    except BaseException:  # noqa: BLE001 - the boundary of a process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _ladder(build: builder.Build, building: Building) -> None:
    body, opened = build.body, building.opened
    build.birth = birth = builder.bear(build)
    send(build.channel, Kind.READY, {"pid": birth.pid})
    _await_caller(build)
    birth.tell(Kind.SETUP, {name: body[name] for name in ("before", "root", "enter", "init", "explain")})
    streams = [] if body["terminal"] else [0, 1, 2]
    if body["users"]:
        users.give_streams(body["users"]["root"], streams)
        limit(body["users"], birth.pid)
        map_binds(body["users"], build.users, opened.binds)
    more = {"streams": len(streams), "gate": True, "preserved": len(opened.preserved)}
    handed = [opened.tree, *streams, *opened.binds, opened.gate, opened.said, *opened.preserved]
    birth.tell(Kind.ROOT, more, handed)
    if body["halts"]:
        _halt(build, birth)
    if body["oom_score_adj"] is not None:
        builder.oom_score(birth.pid, int(body["oom_score_adj"]))
    building.wanted.manner.give(birth.pid)
    birth.tell(Kind.GO)
    terminal = _descriptors(birth, "init made no terminal") if body["terminal"] else []
    if body["listens"]:
        listener = _descriptors(birth, "init made no listener")
        send(build.channel, Kind.READY, {}, listener)
        _await_caller(build)
        os.close(listener[0])
    if birth.hear() is None:
        raise StepFailed("other", "init ended before the program could be started")
    send(build.channel, Kind.STARTED, {}, [birth.pidfd, *terminal])


def _await_caller(build: builder.Build) -> None:
    if (answer := receive(build.channel)) is None or answer.kind is not Kind.GO:
        # A hook has failed, and the caller is gone.
        raise StepFailed("other", "the caller ended")


def _halt(build: builder.Build, birth: Birth) -> None:
    """The container stands, and init goes on when the caller has run its hooks."""
    if birth.hear() is None:
        raise StepFailed("other", "init ended before the container stood")
    send(build.channel, Kind.READY)
    _await_caller(build)
    birth.tell(Kind.GO)


def _descriptors(birth: Birth, missing: str) -> list[int]:
    message = birth.hear()
    if message is None or not message.descriptors:
        raise StepFailed("other", missing)
    return message.descriptors
