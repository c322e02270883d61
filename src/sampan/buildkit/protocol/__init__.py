"""BuildKit's messages: *.proto are ours, *_pb2.py and *_pb2.pyi are made of them by `scripts/protocol`."""
