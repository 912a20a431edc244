"""What stops a piece of work of the studio; each text is the reason that its record carries."""

from __future__ import annotations

from streams.errors import MarqueeError


class StudioError(MarqueeError):
    """A content task could not be carried out."""


class MediaError(StudioError):
    """A file is no media that we can use, or working on it broke a limit."""


class SourceError(StudioError):
    """An address that may not be read, or that does not give what it should."""


class SpecError(StudioError):
    """A task asks for something that its kind does not have."""


class EngineError(StudioError):
    """An engine could not do its work; another one may."""
