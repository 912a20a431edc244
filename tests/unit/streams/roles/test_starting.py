"""The parts of a start add up to the whole, and the first began with the process."""

import re

from streams.roles.starting import Stopwatch, process_age_s


def test_the_parts_add_up_to_the_whole_and_the_first_began_with_the_process():
    at_least_s = process_age_s()
    watch = Stopwatch()
    watch.note("imports")
    watch.note("state")
    found = re.fullmatch(r"([\d.]+) s: imports ([\d.]+), state ([\d.]+)", str(watch))
    assert found is not None
    whole, imports, state = map(float, found.groups())
    assert imports >= round(at_least_s, 2) - 0.01
    assert abs(whole - imports - state) < 0.1
