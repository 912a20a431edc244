"""What of our environment a render may see: a list of names, since an engine or a decoder has no use for the rest.

Credentials of the broker, of stores and of whatever else runs beside us are in the environment too. What an engine of a
team's own needs, an address or a key, is named in the setting ``studio.environment``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SEEN: Final = frozenset(
    {
        "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONHASHSEED", "LD_LIBRARY_PATH",
        "VIRTUAL_ENV", "XDG_CACHE_HOME", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS", "PJRT_NPROC", "NUMBA_CACHE_DIR", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
        "ESPEAK_DATA_PATH",
    }
)  # fmt: skip
"""Where programs, libraries, fonts and certificates are, the language of messages, and how many processors to use."""
_BEGINS: Final = ("LC_",)


def seen_of(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """The part of an environment that a render sees: what is on the list, and the names in ``also``."""
    names = SEEN | frozenset(also)
    return {name: value for name, value in environ.items() if name in names or name.startswith(_BEGINS)}
