"""Many changes of rules are looked at once, and the next ones again."""

import asyncio

from sampan.daemon.rules_watch import RulesWatch


class Counted:
    """Counts."""

    def __init__(self) -> None:
        self.drained = self.restored = 0
        self.looked = asyncio.Event()

    def drain(self) -> None:
        self.drained += 1

    def restore(self) -> bool:
        self.restored += 1
        self.looked.set()
        return False


def test_many_changes_are_one() -> None:
    counted = Counted()

    async def changes() -> None:
        watch = RulesWatch(counted)
        for expected in (1, 2):
            for _ in range(50):
                watch.heard()
            assert counted.restored == expected - 1
            async with asyncio.timeout(10):
                await counted.looked.wait()
            counted.looked.clear()

    asyncio.run(changes())
    assert (counted.drained, counted.restored) == (100, 2)
