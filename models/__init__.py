"""Arrays in, arrays out: the networks and their pure update steps; no file, socket, clock or log."""
