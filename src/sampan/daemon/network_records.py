"""The networks that users made, as they are in the state."""

import msgspec

from sampan.network.definition import NetworkDefinition
from sampan.state.records import decoded
from sampan.state.store import Store

NETWORKS = "networks"
"""Table of the networks that users made, by id."""
CLAIMS = "remote-claims"
"""Table of what was taken of plugins, see `remote_claims`."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(NetworkDefinition)


def encode_network(definition: NetworkDefinition) -> bytes:
    """A record as it is stored."""
    return _encoder.encode(definition)


def stored(store: Store) -> list[NetworkDefinition]:
    """The networks that an earlier daemon acknowledged. Raises BrokenRecord."""
    return [decoded(NETWORKS, key, data, _decoder.decode) for key, data in store.table(NETWORKS).items()]
