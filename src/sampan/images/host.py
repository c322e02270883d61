"""The image `host`: this machine's own root file system, read-only below a layer that hides what must not be seen.

Its identity is constant; it has nothing to download, no size and no layer of its own. What is hidden: `host_layer.py`.
"""

import hashlib

from sampan.images.references import Reference, parse_reference
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.oci_image import Image, decode_image

# Digest of a text that no tar can be: no archive unpacks to this layer, so nobody brings an image that stands on it.
DIFF_ID = DiffId("sha256:" + hashlib.sha256(b"sampan: the root file system of the machine itself").hexdigest())
CHAIN: ChainId = chain_id(None, DIFF_ID)
_CONFIG = (
    b'{"architecture":"","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
    b'],"Cmd":["sh"],"WorkingDir":"/","Labels":{"org.opencontainers.image.title":"host","org.opencontainers.image'
    b'.description":"A copy-on-write view of this machine"}},"rootfs":{"type":"layers","diff_ids":["'
    + DIFF_ID.encode()
    + b'"]},"history":[{"created_by":"the root file system of this machine","comment":"sampan"}]}'
)
ID = ImageId("sha256:" + hashlib.sha256(_CONFIG).hexdigest())
REFERENCE: Reference = parse_reference("host:latest")
CONFIG: Image = decode_image(_CONFIG)
