"""Files of other systems: how each is known, and what its records mean here."""
