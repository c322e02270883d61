"""Parked slots: containers-to-be whose world is made and which stand in their control groups already.

A slot carries the id of the container that it may become, because the control groups bear it. `reserve` hands out the id;
a start that comes within two seconds and fits takes the slot, any other is cold. What a slot can be is a pure question,
`fits`, so that a table of cases tests it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sampan.cgroups.plan import CgroupPlan
from sampan.errors import SampanError
from sampan.network.plan import LinkPlan
from sampan.runtime import adoption, plan, world_plan
from sampan.runtime.messages import Kind
from sampan.runtime.monitored import Monitored
from sampan.runtime.parking import Fork, park
from sampan.runtime.request import StartRequest
from sampan.runtime.start_failure import StartFailed
from sampan.runtime.world_plan import Step
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId, new_id

_log = logging.getLogger("sampan.runtime")
_RESERVED_SECONDS = 2.0
_REFILL_DELAY = 0.012
_RETRY_DELAY = 5.0
_LEAVE_SECONDS = 5.0
_CLOSE_SECONDS = 0.6
_BUSY_SECONDS = 0.5
_NEVER = (-2.0, -1.0)


def _nothing(_container: ContainerId) -> None:
    """Nobody wants to hear of it."""


class SlotKind(NamedTuple):
    """What slots there are: on the default bridge or without a network, and each also with a range of users of its own."""

    bridge: bool
    users: bool = False


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """What one slot is made as: the plain container of this daemon, on the default bridge or without a network.

    `link` has no meaningful address yet; the container's own is given when it is claimed.
    """

    config: oci.Config
    cgroup: CgroupPlan
    link: LinkPlan | None


@dataclass(slots=True)
class Slot:
    """One parked monitor and what it was made as."""

    id: ContainerId
    plan: SlotPlan
    monitored: Monitored
    world: list[Step]
    giving_up: asyncio.TimerHandle | None = None


def fits(request: StartRequest, slot: SlotPlan, made: list[Step] | None = None) -> bool:
    """Whether a container as requested would be the same, made from the slot or cold. Pure.

    `made` are the slot's world steps, where they are at hand.
    """
    config = request.config
    if request.more_links or request.runtime is not None or request.restore is not None:
        return False
    if plan.namespace_flags(config) != plan.namespace_flags(slot.config) or plan.joined(config):
        return False
    groups = request.cgroup.groups
    if groups != slot.cgroup.groups or not set(slot.cgroup.writes) <= set(request.cgroup.writes):
        return False
    if request.cgroup.device_program != slot.cgroup.device_program:
        # Of several programs on a group each must allow an access: a second one gives nothing.
        return False
    if _shape(request.link) != _shape(slot.link):
        return False
    world = world_plan.world(config, request.id, groups, slot.link is not None)
    return world == (made or world_plan.world(slot.config, request.id, groups, slot.link is not None))


def _shape(link: LinkPlan | None) -> tuple[object, ...] | None:
    """What of a link cannot be changed when it is claimed."""
    if link is None:
        return None
    return link.kind, link.bridge_index, link.mtu, link.name, link.isolated, link.hairpin, link.ipv6, link.sysctls


_KINDS = tuple(SlotKind(bridge, users) for users in (False, True) for bridge in (False, True))


class Pool:
    """Keeps slots of each kind that `make` can plan, and refills when nothing is being started.

    One of a kind is kept ready (a slot is three processes, 7 MB), and `size` while starts follow one another closely.
    """

    def __init__(self, fork: Fork, directory: str, size: int) -> None:
        self._fork = fork
        self._directory = directory
        self._size = size
        self._make: Callable[[ContainerId, SlotKind], SlotPlan] | None = None
        self._lost: Callable[[ContainerId], None] = _nothing
        self._ready: dict[SlotKind, list[Slot]] = {kind: [] for kind in _KINDS}
        self._reserved: dict[ContainerId, Slot] = {}
        self._leaving: dict[ContainerId, Monitored] = {}
        self._making: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._refill_due: asyncio.TimerHandle | None = None
        self._shrink_due: asyncio.TimerHandle | None = None
        self._asked: dict[SlotKind, tuple[float, float]] = dict.fromkeys(_KINDS, _NEVER)
        """when slots of each kind were asked for: the last time but one, and the last"""
        self._closed = False

    def open(self, make: Callable[[ContainerId, SlotKind], SlotPlan], lost: Callable[[ContainerId], None]) -> None:
        """Begin to park slots. `make` plans one for an id, and raises SampanError where there can be none of that kind.

        `lost` hears of each id whose slot was never reserved and goes.
        """
        self._make = make
        self._lost = lost
        self.refill_later(_REFILL_DELAY)

    async def close(self) -> None:
        """Give up every slot and wait a moment for their ends; each ends by itself when its channel closes."""
        self._closed = True
        for timer in (self._refill_due, self._shrink_due):
            if timer is not None:
                timer.cancel()
        if self._making:
            # One that is cut off now would take back its groups after everybody has gone.
            await asyncio.wait(self._making, timeout=_CLOSE_SECONDS)
        for task in self._making:
            task.cancel()
        slots = [*(slot for ready in self._ready.values() for slot in ready), *self._reserved.values()]
        self._ready = {kind: [] for kind in _KINDS}
        self._reserved.clear()
        ending = [*(slot.monitored for slot in slots), *self._leaving.values()]
        for slot in slots:
            if slot.giving_up is not None:
                slot.giving_up.cancel()
            slot.monitored.hang_up()
        # Their control groups go with them; whoever removes the instance's own comes after.
        await asyncio.gather(*(monitored.wait_gone(_CLOSE_SECONDS) for monitored in ending))
        for monitored in ending:
            monitored.let_go()

    def reserve(self, kind: SlotKind) -> ContainerId | None:
        """The id of a slot that is now held for two seconds; None where none is ready."""
        loop = asyncio.get_running_loop()
        self._asked[kind] = (self._asked[kind][1], loop.time())
        if not self._ready[kind]:
            return None
        slot = self._ready[kind].pop(0)
        slot.giving_up = loop.call_later(_RESERVED_SECONDS, self._give_up, slot)
        self._reserved[slot.id] = slot
        return slot.id

    def take(self, request: StartRequest) -> Slot | None:
        """The slot reserved for this container, if it fits; one that does not fit is given up."""
        slot = self._reserved.pop(request.id, None)
        if slot is None:
            return None
        if slot.giving_up is not None:
            slot.giving_up.cancel()
        if slot.monitored.gone or not fits(request, slot.plan, slot.world):
            self._give_up(slot)
            return None
        return slot

    async def return_unused(self, slot: Slot) -> None:
        """A slot that was taken for a start that failed before it came to it."""
        self._give_up(slot)
        await self.given_up(slot.id)

    async def given_up(self, container: ContainerId) -> None:
        """Wait until a slot that was given up under this id has left its control groups to a cold start."""
        monitored = self._leaving.get(container)
        if monitored is not None:
            await monitored.wait_gone(_LEAVE_SECONDS)

    def start_begins(self) -> None:
        """A start is under way: slots are not made beside it."""
        self._starting += 1

    def start_ends(self) -> None:
        """A start is done."""
        self._starting -= 1
        self.refill_later(_REFILL_DELAY)

    def refill_later(self, seconds: float) -> None:
        """Look after `seconds` whether slots are wanted."""
        if self._make is not None and self._refill_due is None and not self._closed:
            self._refill_due = asyncio.get_running_loop().call_later(seconds, self._refill)

    def _refill(self) -> None:
        self._refill_due = None
        if self._starting or self._closed:
            return
        for kind in _KINDS:
            if len(self._ready[kind]) < self._wanted(kind) and not self._making:
                task = asyncio.get_running_loop().create_task(self._park(kind))
                self._making.add(task)
                task.add_done_callback(self._making.discard)
                return

    def _wanted(self, kind: SlotKind) -> int:
        """How many of a kind are to be ready now. Of those with users of their own, none before one was asked for."""
        before, last = self._asked[kind]
        if kind.users and last < 0:
            return 0
        busy = last - before < _BUSY_SECONDS and asyncio.get_running_loop().time() - last < _BUSY_SECONDS
        if busy and self._shrink_due is None:
            self._shrink_due = asyncio.get_running_loop().call_later(_BUSY_SECONDS, self._shrink)
        return self._size if busy else min(1, self._size)

    def _shrink(self) -> None:
        """Give up what is more than wanted; looked at again while starts go on."""
        self._shrink_due = None
        for kind, slots in self._ready.items():
            while len(slots) > self._wanted(kind):
                self._give_up(slots.pop())

    async def _park(self, kind: SlotKind) -> None:
        assert self._make is not None
        name = ContainerId(new_id())
        try:
            slot_plan = self._make(name, kind)
        except SampanError as error:
            # No range is free, for one. The next that is asked for is made cold, and says why it cannot be.
            _log.debug("no slot is made ready: %s", error)
            self._asked[kind] = _NEVER
            return
        monitored = Monitored(name, name, f"{self._directory}/{name}", slot_plan.cgroup.groups)
        world = world_plan.world(slot_plan.config, name, slot_plan.cgroup.groups, slot_plan.link is not None)
        body = plan.park(name, monitored.directory, slot_plan.config, slot_plan.cgroup, slot_plan.link, world)
        try:
            await park(self._fork, Kind.PARK, body, monitored, self._slot_gone)
        except StartFailed as failure:
            _log.warning("a slot could not be made ready: %s", failure.message)
            self._lost(name)
            self.refill_later(_RETRY_DELAY)
            return
        self._ready[kind].append(Slot(name, slot_plan, monitored, world))
        if self._shrink_due is None:
            # On a busy machine it may be ready only when nobody wants a second one any more.
            self._shrink()
        self.refill_later(_REFILL_DELAY)

    def _give_up(self, slot: Slot) -> None:
        if self._reserved.pop(slot.id, None) is None:
            self._lost(slot.id)
        if not slot.monitored.gone:
            self._leaving[slot.id] = slot.monitored
            slot.monitored.hang_up()

    def _slot_gone(self, monitored: Monitored) -> None:
        for slots in self._ready.values():
            for slot in slots:
                if slot.monitored is monitored:
                    self._lost(slot.id)
            slots[:] = [slot for slot in slots if slot.monitored is not monitored]
        if self._leaving.pop(monitored.container, None) is not None:
            self.refill_later(_REFILL_DELAY)
            return
        # It was killed, and whatever has done that may do it to the next.
        if not self._closed:
            # Nobody has taken back what it stood in.
            _ = asyncio.get_running_loop().run_in_executor(
                None, adoption.clear_up, monitored.groups, monitored.directory
            )
        self.refill_later(_RETRY_DELAY)
