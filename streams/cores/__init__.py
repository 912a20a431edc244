"""Pure decisions of each role: (events, state, now) in, new state and effects as data out."""
