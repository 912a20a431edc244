"""What of our environment a render may see: a list of names, since an engine or a decoder has no use for the rest.

Credentials of the broker, of stores and of whatever else runs beside us are in the environment too. What an engine of a
team's own needs, an address or a key, is named in the setting ``studio.environment``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SEEN: Final = frozenset(
    {
        "CUDA_VISIBLE_DEVICES", "ESPEAK_DATA_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "HOME",
        "JAX_COMPILATION_CACHE_DIR", "JAX_PLATFORMS", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR",
        "OMP_NUM_THREADS", "PATH", "PJRT_NPROC", "PYTHONHASHSEED", "PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE",
        "TMPDIR", "TZ", "VIRTUAL_ENV", "XDG_CACHE_HOME", "XLA_FLAGS",
    }
)  # fmt: skip
"""Where programs, libraries, fonts and certificates are, the language of messages, and how many processors to use."""
_BEGINS: Final = ("LC_",)


def seen_of(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """The part of an environment that a render sees: what is on the list, and the names in ``also``."""
    names = SEEN | frozenset(also)
    return {name: value for name, value in environ.items() if name in names or name.startswith(_BEGINS)}
