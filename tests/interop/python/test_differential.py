"""PyPI `runes` and `rune check` on generated pairs; `make fuzz` runs more of them."""

import random

import differential

PAIRS = 50_000


def test_ours_allows_nothing_that_the_reference_refuses():
    seed = random.randrange(2**32)
    print(f"python differential.py {PAIRS} {seed}")
    outcome = differential.run(PAIRS, seed)
    print(outcome.table())
    assert not outcome.failures, "\n".join(outcome.failures)
    assert min(outcome.verdicts[True, True], outcome.verdicts[False, False]) >= PAIRS // 4, outcome.table()
