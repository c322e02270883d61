"""What a build needs of its client, fetched ahead: directories, stores, secrets, agents, credentials."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

from grpclib.client import StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sampan.build.git_address import git_address
from sampan.build.planning import NamedContext, Wish, missing_images
from sampan.build.request import SECRET_LIMIT
from sampan.build.tree.context import Context
from sampan.buildkit.needs import Builder
from sampan.buildkit.pools import Pools
from sampan.buildkit.protocol import session_pb2 as messages
from sampan.buildkit.sessions import Session, Sessions
from sampan.buildkit.stores import ClientStore
from sampan.buildkit.subrequests import mount_ids
from sampan.buildkit.synced import synced
from sampan.buildkit.uploads import uploaded
from sampan.dockerfile.instructions import Add, Dockerfile
from sampan.errors import InvalidParameter, SampanError, System
from sampan.images.references import parse_reference
from sampan.registry.names import HUB_INDEX
from sampan.registry.protocol import Credentials

_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105 - a method of gRPC
_CHECK_AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
_AGENT = "/moby.sshforward.v1.SSH/ForwardAgent"
_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_GIT_HEADER, _GIT_TOKEN = "GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"
_SECONDS = 30.0
_PIECE = 32 * 1024


class Client:
    """One build's client."""

    def __init__(
        self, builder: Builder, sessions: Sessions, pools: Pools, session: str, keys: Mapping[str, str]
    ) -> None:
        """`session` is the build's; `keys` are its front-end attributes, which name sessions and keys of directories."""
        self._builder = builder
        self._sessions = sessions
        self._pools = pools
        self._session = session
        self._keys = keys

    async def session(self, directory: str = "") -> Session:
        """The session; that of a directory where the client says so. Raises NotFound."""
        return await self._sessions.find(self._keys.get(f"local-sessionid:{directory}", "") or self._session)

    @asynccontextmanager
    async def directory(
        self, name: str, *, follow: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> AsyncIterator[Context]:
        """One of the client's directories. Raises as `synced` does."""
        session = await self.session(name)
        hint = self._keys.get(f"sharedkey:localdir:{name}", "") or session.offer.shared_key
        # What is followed is another set of files than all of them.
        key = f"{hint}\0{name}\0{bool(follow)}" if hint else ""
        with self._builder.directory() as into:
            async with self._pools.taken(key) as pool:
                context = await synced(session, name, pool, into, follow=follow, exclude=exclude)
            try:
                yield context
            finally:
                context.close()

    @asynccontextmanager
    async def upload(self, path: str) -> AsyncIterator[int]:
        """What the client uploads under that name: a descriptor of a file. Raises as `uploaded` does."""
        with self._builder.directory() as into:
            spool = await uploaded(await self.session(), path, into)
            try:
                yield spool
            finally:
                os.close(spool)

    async def store(self, name: str, shown: str) -> ClientStore:
        """One of the client's stores of blobs; see `ClientStore`."""
        return ClientStore(await self.session(), name, shown)

    async def secrets(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Those that the client has."""
        found: dict[str, bytes] = {}
        session = await self.session()
        if not session.offers(_SECRET):
            return found
        get = UnaryUnaryMethod(session.caller, _SECRET, messages.GetSecretRequest, messages.GetSecretResponse)
        for name in ids:
            try:
                answer = await get(messages.GetSecretRequest(ID=name), timeout=_SECONDS)
            except GRPCError as error:
                if error.status is Status.NOT_FOUND:
                    continue
                raise System(f"failed to read secret {name}: {error.message}") from error
            if len(answer.data) > SECRET_LIMIT:
                raise InvalidParameter(f"invalid secret size {len(answer.data)}: {SECRET_LIMIT} are allowed")
            found[name] = answer.data
        return found

    async def authorizations(self, repositories: Iterable[str]) -> dict[str, str]:
        """What git is to send as `Authorization` to the hosts of these repositories, of the secrets that the client has for it.

        By host; "" for every other one. Raises InvalidParameter, System.
        """
        parts = [urlsplit(repository) for repository in repositories]
        hosts = {one.hostname for one in parts if one.scheme in ("http", "https") and one.hostname}
        found: dict[str, str] = {}
        for host in (*sorted(hosts), "") if hosts else ():
            for name in (_GIT_HEADER, _GIT_TOKEN):
                full = f"{name}.{host}" if host else name
                secret = (await self.secrets([full])).get(full)
                if secret is not None:
                    found[host] = _authorization(full, secret.strip(), token=name == _GIT_TOKEN)
                    break
        return found

    async def credentials(self, dockerfile: Dockerfile, wish: Wish) -> dict[str, Credentials]:
        """For the registries that the Dockerfile names, by the name that they are looked up by."""
        session = await self.session()
        if not session.offers(_CREDENTIALS):
            return {}
        ask = UnaryUnaryMethod(session.caller, _CREDENTIALS, messages.CredentialsRequest, messages.CredentialsResponse)
        found: dict[str, Credentials] = {}
        for domain in _domains(dockerfile, wish):
            # Clients know Docker's own registry by the name of its first version.
            host = "registry-1.docker.io" if domain == "docker.io" else domain
            try:
                answer = await ask(messages.CredentialsRequest(Host=host), timeout=_SECONDS)
            except GRPCError as error:
                raise System(f"failed to ask the client for the credentials of {domain}: {error.message}") from error
            if answer.Secret:
                name = HUB_INDEX if domain == "docker.io" else domain
                found[name] = (
                    Credentials(username=answer.Username, password=answer.Secret)
                    if answer.Username
                    else Credentials(identity_token=answer.Secret)
                )
        return found

    @asynccontextmanager
    async def agents(self, ids: Sequence[str]) -> AsyncIterator[dict[str, str]]:
        """Sockets behind which the client's agents answer, by id."""
        if not ids:
            yield {}
            return
        session = await self.session()
        async with AsyncExitStack() as stack:
            place = stack.enter_context(self._builder.socket_directory())
            sockets: dict[str, str] = {}
            for number, name in enumerate(ids):
                if not await _has_agent(session, name):
                    continue
                path = os.path.join(place, str(number))
                serving = _Agent(session, name)
                server = await asyncio.start_unix_server(serving.answer, path)
                stack.push_async_callback(_closed, server)
                sockets[name] = path
            yield sockets


async def _closed(server: asyncio.Server) -> None:
    server.close()


async def _has_agent(session: Session, name: str) -> bool:
    if not session.offers(_CHECK_AGENT):
        return False
    check = UnaryUnaryMethod(session.caller, _CHECK_AGENT, messages.CheckAgentRequest, messages.CheckAgentResponse)
    try:
        await check(messages.CheckAgentRequest(ID=name), timeout=_SECONDS)
    except GRPCError:
        return False  # the mount says whether it is required
    return True


class _Agent:
    """Carries connections to a client's agent."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it."""
        method = StreamStreamMethod(self._session.caller, _AGENT, messages.BytesMessage, messages.BytesMessage)
        try:
            async with method.open(metadata=[("buildkit.ssh.id", self._name)]) as stream:
                await stream.send_request()

                async def forth() -> None:
                    while piece := await reader.read(_PIECE):
                        await stream.send_message(messages.BytesMessage(data=piece))
                    await stream.end()

                sending = asyncio.get_running_loop().create_task(forth())
                try:
                    while (message := await stream.recv_message()) is not None:
                        writer.write(message.data)
                        await writer.drain()
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
        except (GRPCError, StreamTerminatedError, OSError):
            pass  # the agent's user finds the connection closed
        finally:
            writer.close()


def _authorization(name: str, secret: bytes, *, token: bool) -> str:
    """The header. Raises InvalidParameter."""
    if token:
        secret = b"basic " + base64.b64encode(b"x-access-token:" + secret)
    text = secret.decode("latin-1")
    if not text.isprintable():
        raise InvalidParameter(f"the secret {name} is no header: it has a control character in it")
    return text


def repositories_of(dockerfile: Dockerfile, named: Mapping[str, NamedContext]) -> list[str]:
    """The git repositories that ADD and named contexts name; one with a variable in it is not known ahead."""
    words = [one.repository for one in named.values() if one.repository]
    for stage in dockerfile.stages:
        words += [word.text for each in stage.instructions if isinstance(each, Add) for word in each.paths]
    found = []
    for word in words:
        with suppress(SampanError):  # the build tells what is wrong with it
            source = git_address(word)
            if source is not None:
                found.append(source.repository)
    return found


def _domains(dockerfile: Dockerfile, wish: Wish) -> list[str]:
    found: dict[str, None] = {}
    for base in missing_images(dockerfile, wish, {}):
        try:
            found[parse_reference(base.reference).domain] = None
        except SampanError:
            continue  # the build tells what is wrong with it
    return list(found)


def ids_of(dockerfile: Dockerfile, kind: str) -> list[str]:
    """The ids of all `RUN --mount=type=KIND`, as they are written: one with a variable in it is not known ahead."""
    found = (mount_ids(instruction, kind) for stage in dockerfile.stages for instruction in stage.instructions)
    return list(dict.fromkeys(name for each in found for name, _ in each))
