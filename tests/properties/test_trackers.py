"""Whatever a detector says, ids are given once a frame and never come back, and told boxes are boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.vision import bytetrack, deepsort, sort, tracks
from models.vision.bytetrack import ByteConfig
from models.vision.deepsort import DeepConfig
from models.vision.sort import SortConfig

# Few places and sizes, so that boxes meet, repeat, and have no area at times.
BOX = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4), st.integers(0, 4), st.floats(0, 1))
CLIP = st.lists(st.lists(BOX, max_size=6), max_size=12)


@pytest.mark.parametrize(
    ("step", "config"),
    [(sort.step, SortConfig()), (bytetrack.step, ByteConfig(most_missed=3)), (deepsort.step, DeepConfig(gallery=2))],
    ids=["sort", "bytetrack", "deepsort"],
)
@given(clip=CLIP)
@settings(max_examples=60)
def test_ids_and_boxes(step, config, clip) -> None:
    is_deep = isinstance(config, DeepConfig)
    now = tracks.empty(gallery=2, looks=3) if is_deep else tracks.empty()
    gone: set[int] = set()
    for found in clip:
        rows = np.array(found, float).reshape(-1, 5)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * 10
        looks = (rows[:, 1:4] if is_deep else rows[:, :0]).astype(np.float32)
        before = set(now.ids.tolist())
        now, seen = step(now, tracks.Detections(boxes, rows[:, 4], looks), config)
        told = seen.ids[seen.ids != tracks.NOBODY]
        gone |= before - set(now.ids.tolist())

        assert len(set(told)) == len(told)
        assert not gone & set(now.ids.tolist())
        assert (np.diff(now.ids) > 0).all()
        assert np.isfinite(seen.boxes).all()
        assert (seen.boxes[:, 2:] >= seen.boxes[:, :2]).all()
        assert np.isfinite(now.motion.covariance).all()
        assert (now.motion.mean[:, 2:4] > 0).all()
