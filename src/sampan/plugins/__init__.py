"""Plugins that speak Docker's protocol: JSON documents posted to a socket. Who they are, where, and what they are asked.

Belongs here: discovery, activation, the client with its bounds, and the calls of each kind of plugin. Does not belong: what is
done with the answers (volumes, logs, networks, the API). May import: errors, spec, kernel, files, volumes, logs, network.

    place = Places.of_docker(exec_root)             where .sock, .spec and .json files lie
    plugins = Plugins([place])                      one for a daemon; `managed` plugins and others are further sources
    plugin = await plugins.get("flocker", "VolumeDriver")
    answer = await plugin.call("VolumeDriver.Get", Name(name="v"), GetAnswer, seconds=60)

Everything runs on the event loop, holds no lock while a plugin is asked, and raises `faults` and nothing else.
"""
