"""The terminal's side of attach, run and exec: raw mode, signals, detach keys, and the pump between stdio and daemon."""
