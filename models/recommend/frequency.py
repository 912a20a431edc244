"""How likely an item is among the sampled candidates of a step, estimated from the stream itself."""

import numpy as np

from models.typing import F32


def log_q(recent: F32, *, recent_total: float, drawn: int, negatives: int, items: int) -> F32:
    """Log of the probability that a candidate set holds an item.

    The set is made of ``drawn`` items as the stream brings them and ``negatives`` uniform ones.

    Args:
      recent: decayed count of each candidate, float32 [U]; ``recent_total``: their sum over the catalogue.
      drawn: events in the windows. negatives: uniform draws. items: size of the catalogue.

    Returns:
      Nats, <= 0, float32 [U].

    References:
      Yi et al., RecSys 2019, section 4: streaming frequency estimation (here a decayed count, not a gap).
    """
    share = recent / np.float32(max(recent_total, 1.0))
    chance = -np.expm1(drawn * np.log1p(-np.minimum(share, np.float32(0.999))))
    uniform = min(1.0, negatives / max(items, 1))
    inside: F32 = np.log(np.maximum(chance + (1.0 - chance) * uniform, 1e-9)).astype(np.float32)
    return inside
