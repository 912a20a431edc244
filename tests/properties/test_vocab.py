"""Whatever is admitted, seen and evicted: a row never moves while its id has it, and belongs to one id."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.recommend.vocab import Vocab

KEYS = st.lists(st.text("aβ日", min_size=1, max_size=2), max_size=6)


class VocabMachine(RuleBasedStateMachine):
    """A vocabulary beside a dict of rows and one of times."""

    def __init__(self):
        super().__init__()
        self.vocab, self.rows, self.last_ms, self.now_ms = Vocab(), {}, {}, 1

    @rule(keys=KEYS)
    def admit(self, keys):
        new = [key for key in dict.fromkeys(keys) if key not in self.rows]
        assert self.vocab.admit(keys) == new
        for key in new:
            row = self.vocab.row(key)
            assert row not in self.rows.values()
            self.rows[key], self.last_ms[key] = row, 0

    @rule(keys=KEYS, later_ms=st.integers(-5, 50))
    def touch(self, keys, later_ms):
        known = [key for key in keys if key in self.rows]
        self.now_ms += max(later_ms, 0)
        at_ms = max(self.now_ms + min(later_ms, 0), 0)
        self.vocab.touch(self.vocab.rows(known), np.full(len(known), at_ms, np.int64))
        for key in known:
            self.last_ms[key] = max(self.last_ms[key], at_ms)

    @rule(age_ms=st.integers(0, 60))
    def evict(self, age_ms):
        before_ms = self.now_ms - age_ms
        old = {key for key in self.rows if self.last_ms[key] < before_ms}
        assert set(self.vocab.evict(self.vocab.expired(before_ms).tolist())) == old
        for key in old:
            del self.rows[key], self.last_ms[key]

    @rule()
    def save_and_load(self):
        self.vocab = Vocab.from_arrays(self.vocab.to_arrays())

    @rule(keys=KEYS)
    def read(self, keys):
        assert self.vocab.rows(keys).tolist() == [self.rows.get(key, 0) for key in keys]

    @invariant()
    def rows_stand(self):
        assert {key: self.vocab.row(key) for key in self.vocab.keys()} == self.rows  # noqa: SIM118
        assert all(self.vocab.key(row) == key for key, row in self.rows.items())
        assert len(self.vocab) == len(self.rows)
        assert all(0 < row < self.vocab.used <= self.vocab.capacity for row in self.rows.values())


TestVocab = VocabMachine.TestCase
TestVocab.settings = settings(max_examples=40, stateful_step_count=25)
