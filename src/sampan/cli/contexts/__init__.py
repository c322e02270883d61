"""Docker contexts: named daemons, in the files that the docker command shares."""
