"""Decides whether a role is alive and whether it is ready, and in which words. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

STARTING: Final = "starting: state and topics are not read yet"
DRAINING: Final = "draining: SIGTERM or SIGINT came"


class Verdict(NamedTuple):
    """Yes or no, and why."""

    is_well: bool
    reason: str


def alive(*, silence_s: float | None, stall_s: float) -> Verdict:
    """Whether the process should be left alone.

    A broker that is away, a state that is still read, a drain: none of them is better after a restart. Only an event
    loop that says nothing is.

    Args:
      silence_s: since the event loop last said that it lives; None: it has not begun. stall_s: the longest allowed.
    """
    if silence_s is None:
        return Verdict(True, "the event loop has not begun")
    if silence_s > stall_s:
        return Verdict(False, f"the event loop has said nothing for {silence_s:.0f} s, more than {stall_s:.0f} s")
    return Verdict(True, "the event loop runs")


def ready(*, has_begun: bool, is_draining: bool, lacking: str | None) -> Verdict:
    """Whether the role does its work now.

    Args:
      has_begun: the event loop runs. lacking: what the role still waits for; None: nothing.
    """
    if is_draining:
        return Verdict(False, DRAINING)
    if not has_begun:
        return Verdict(False, STARTING)
    return Verdict(lacking is None, lacking or "ready")
