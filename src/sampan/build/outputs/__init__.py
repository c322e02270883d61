"""What a build is made into beside an image in the store: archives, trees, fewer layers; and what is attested of it.

Belongs here: reading `--output`, the bytes of each kind of output, times that do not depend on the hour, bills of materials and
provenance. Does not belong: tags and records of images (images), where a client keeps what it gets (cli). May import what build
may.

    image in the catalog ─┬─▶ oci, docker   archives   (`archives`)
                          ├─▶ tar, local    its tree   (`trees`)
                          └─▶ squashed      an image of the base's layers and one more (`squashing`)
"""
