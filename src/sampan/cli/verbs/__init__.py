"""One module for each command or small family: its option table and what it does with the daemon."""
