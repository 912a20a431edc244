from dataclasses import dataclass

import pytest

from index.errors import StaleVersionError
from index.holder import Holder


@dataclass(frozen=True)
class Serving:
    version: int
    name: str


def test_what_is_newer_takes_the_place_whole():
    holder = Holder(Serving(3, "old"))
    holder.swap(Serving(7, "new"))
    assert holder.current == Serving(7, "new")


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_not_newer_is_refused_and_the_live_one_stays(version):
    holder = Holder(Serving(3, "live"))
    with pytest.raises(StaleVersionError, match=f"version {version} is not newer than 3; drop it"):
        holder.swap(Serving(version, "late"))
    assert holder.current == Serving(3, "live")
