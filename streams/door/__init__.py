"""The HTTP door: slates asked for and records posted over HTTP, by way of the same topics as everybody else's."""
