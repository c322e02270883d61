"""Logins at registries as docker keeps them: `auths` of config.json, or a `docker-credential-…` program that config.json names.

What a login is for is not known here: `header` hands it to the daemon. May import what the rest of `cli` may.
"""
