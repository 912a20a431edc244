"""What settings of a service behind an address must agree on, whichever table they stand in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.errors import SettingsError
from streams.setting_kinds import Secret

LOOPBACK: Final = re.compile(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(?=[:/]|$)")


def check_key(names: str, url: str, key: Secret, key_file: Path | None) -> None:
    """A key comes from one place, and goes to another machine by https alone.

    Args:
      names: what the settings begin with, as ``studio.chat``: followed by ``_url``, ``_key`` and ``_key_file``.

    Raises:
      SettingsError: it is not so.
    """
    if key and key_file is not None:
        raise SettingsError(f"{names}_key and {names}_key_file must not both be given, got both; remove the key")
    if (key or key_file is not None) and url.startswith("http:") and LOOPBACK.match(url) is None:
        raise SettingsError(
            f"{names}_url must begin with https:// where a key is sent to another machine, got http://; remove the key "
            "or use https"
        )
