"""The console: what the engine does, in a browser; reads topics, and asks what commands ask."""
