"""The mounts of a RUN: what each is of, for as long as its program runs."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sampan.build.cache.mounts import CacheMounts, MountWish
from sampan.build.needs import Bound, Memory, Mounted, Secret, Socket
from sampan.build.operations import Run, RunMount
from sampan.build.request import BuildRequest
from sampan.build.running import SCRIPTS
from sampan.build.threads import Threads
from sampan.build.trees import Tree, Trees
from sampan.errors import InvalidParameter, NotFound
from sampan.files.copying import copy_tree
from sampan.kernel.files import Resolve, openat2

_SECRETS = "/run/secrets"
_CACHE_MODE = 0o755
_AGENT = "/run/buildkit/ssh_agent"


class Mounts:
    """Those of one build."""

    def __init__(self, request: BuildRequest, trees: Trees, caches: CacheMounts, threads: Threads) -> None:
        self._request = request
        self._trees = trees
        self._caches = caches
        self._threads = threads

    @asynccontextmanager
    async def of(
        self, run: Run, inputs: Sequence[Tree], names: Sequence[str]
    ) -> AsyncIterator[tuple[list[Mounted], list[str]]]:
        """The mounts and the variables that they bring, while the block runs. `names` say what the inputs hold.

        Raises SampanError, OSError.
        """
        mounted: list[Mounted] = []
        variables: list[str] = []
        async with AsyncExitStack() as stack:
            # In one order for all programs: two that want two locked directories would else wait for each other.
            taken: dict[str, Path] = {}
            wishes = {number: _wish(one, names) for number, one in enumerate(run.mounts) if one.type == "cache"}
            for number in sorted(wishes, key=lambda number: wishes[number].name):
                await self._take(wishes[number], run.mounts[number], inputs, taken, stack)
            for number, mount in enumerate(run.mounts):
                match mount.type:
                    case "bind":
                        mounted.append(await self._bind(mount, inputs, stack))
                    case "tmpfs":
                        mounted.append(Memory(target=mount.target, size=mount.size))
                    case "secret":
                        self._secret(mount, mounted, variables)
                    case "ssh":
                        self._agent(mount, number, mounted, variables)
                    case _:
                        path = taken[wishes[number].name]
                        mounted.append(Bound(target=mount.target, source=str(path), read_only=mount.read_only))
            if run.script is not None:
                name, text = run.script
                mounted.append(Secret(target=f"{SCRIPTS}/{name}", content=text.encode(), mode=0o755))
            yield mounted, variables

    async def _take(
        self, wish: MountWish, mount: RunMount, inputs: Sequence[Tree], taken: dict[str, Path], stack: AsyncExitStack
    ) -> None:
        """A directory of the cache mount's, until the stack is left; one for all mounts of a program that mean the same."""
        if wish.name in taken:
            return

        async def fill(directory: int) -> None:
            view = await self._trees.view(inputs[mount.input])
            await self._threads.run(_copy_below, view, mount.source.lstrip("/") or ".", directory)

        found = await self._caches.take(wish, fill if mount.input >= 0 else None)
        stack.callback(self._caches.give, found)
        taken[wish.name] = found.path

    async def _bind(self, mount: RunMount, inputs: Sequence[Tree], stack: AsyncExitStack) -> Bound:
        tree = inputs[mount.input]
        if tree.is_empty:
            raise InvalidParameter(f"invalid mount {mount.target}: there is nothing in scratch")
        if mount.read_only:
            view = await self._trees.view(tree)
            return Bound(target=mount.target, tree=view, below=mount.source.lstrip("/"), read_only=True)
        source = tree.source
        draft = await self._trees.write(Tree() if source is not None else tree, alone=False)
        stack.callback(self._trees.discard, draft)
        root = await self._trees.mounted(draft)
        stack.callback(os.close, root)
        if source is not None:
            # What a program writes to the context's own files would be seen by other steps.
            await self._threads.run(_copy_below, await self._threads.run(source.directory), ".", root)
        return Bound(target=mount.target, tree=root, below=mount.source.lstrip("/"), read_only=False)

    def _secret(self, mount: RunMount, mounted: list[Mounted], variables: list[str]) -> None:
        name = mount.identity or mount.source or mount.target.rpartition("/")[2]
        content = self._request.secrets.get(name)
        if content is None:
            if mount.required:
                raise NotFound(f"secret {name}: not found")
            return
        if mount.variable is not None:
            variables.append(f"{mount.variable or name}={content.decode('utf-8', 'replace')}")
            if not mount.target:
                return
        mounted.append(
            Secret(
                target=mount.target or f"{_SECRETS}/{name}",
                content=content,
                mode=0o400 if mount.mode is None else mount.mode,
                uid=mount.uid or 0,
                gid=mount.gid or 0,
            )
        )

    def _agent(self, mount: RunMount, number: int, mounted: list[Mounted], variables: list[str]) -> None:
        name = mount.identity or "default"
        source = self._request.ssh.get(name)
        if source is None:
            if mount.required:
                raise NotFound(f"unset ssh forward key {name}")
            return
        target = mount.target or f"{_AGENT}.{number}"
        if not any(entry.startswith("SSH_AUTH_SOCK=") for entry in variables):
            variables.append(f"SSH_AUTH_SOCK={target}")
        mode = 0o600 if mount.mode is None else mount.mode
        mounted.append(Socket(target=target, source=source, mode=mode, uid=mount.uid or 0, gid=mount.gid or 0))


def _wish(mount: RunMount, names: Sequence[str]) -> MountWish:
    seed = f"{names[mount.input]} {mount.source}" if mount.input >= 0 else ""
    mode = _CACHE_MODE if mount.mode is None else mount.mode
    return MountWish(
        identity=mount.identity or mount.target,
        sharing=mount.sharing or "shared",
        mode=mode,
        uid=mount.uid or 0,
        gid=mount.gid or 0,
        seed=seed,
    )


def _copy_below(root: int, path: str, target: int) -> None:
    """What is in a directory of a tree, into an empty one. Raises OSError."""
    source = openat2(root, path.encode(), os.O_RDONLY | os.O_DIRECTORY, Resolve.IN_ROOT | Resolve.NO_MAGICLINKS)
    try:
        copy_tree(source, target)
    finally:
        os.close(source)
