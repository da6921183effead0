"""Generated runes and requests, judged by PyPI `runes` 0.6 (the reference) and by `runeward rune check`.

Ours may be narrower than the reference, never wider, and narrower only for a reason of the tables NARROWER_* below. The
reasons are held to: where one claims that we refuse, we must. So every verdict is foretold, and any other fails.

    python differential.py [pairs] [seed]       # RUNEWARD_BIN: the binary to ask
"""

import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

from gateway import BINARY, runeward
from pairs import Case, Source
from runes import Rune

CHUNK = 5_000
CHUNK_SECONDS = 300
PROCESSES = 2


# One alternative that holds for the reference and not for us: name, why, and what recognises it.
NARROWER_ALTERNATIVES = {
    "absent in one view": (
        "`!` on a parameter must hold by name and by position; `rune check` knows no signatures, so of"
        " parameters given in the other view none is known to be absent",
        lambda case, alt: alt.cond == "!" and bool(case.params) and alt.field.startswith(case.other_view),
    ),
    "ambiguous name": (
        "of parameters that differ in punctuation alone nobody can tell which one the node reads",
        lambda case, alt: alt.cond != "#" and alt.field.startswith("pname") and case.is_ambiguous(alt.field[5:]),
    ),
    "index misspelled": (
        "`parr00!`, `parrx!`: an index that is no canonical decimal is no absent parameter",
        lambda case, alt: alt.cond == "!" and alt.field.startswith("parr") and not is_index(alt.field[4:]),
    ),
    "invoice field": (
        "the reference knows no `pinv`: `!` and `#` hold there, where ours (as the node) wants an invoice that can be read",
        lambda case, alt: alt.cond in "!#" and alt.field.startswith("pinv"),
    ),
    "pace": (
        "`rate` and `per` take `=` alone, not even `#` (the node's own rule)",
        lambda case, alt: alt.field in ("rate", "per") and alt.cond in "!#",
    ),
    "no JSON integer": (
        "`<` and `>` compare what JSON wrote as an integer of 64 bits: no string, as on the node; nor `-0`, read in two ways",
        lambda case, alt: alt.cond in "<>" and not case.is_integer(alt.field),
    ),
    "integer of Python": (
        "Python takes integers of any size, with `_`, other digits and white space around; the node is C, with 64 bits",
        lambda case, alt: alt.cond in "<>" and not is_c_integer(alt.value),
    ),
}

# A whole pair that we refuse whatever its restrictions say.
NARROWER_PAIRS = {
    "no strict JSON": (
        "repeated keys, lone surrogates and nesting over 64 are no params",
        lambda case: case.twist in ("repeated key", "lone surrogate", "deep"),
    ),
    "spelling": (
        "a rune in the standard alphabet, with NUL in it or with a trailing `|` is malformed (the node refuses"
        " the first two)",
        lambda case: case.twist in ("standard alphabet", "nul", "trailing |"),
    ),
    "unique id": (
        "the unique id must be there, in decimal, and issued by us",
        lambda case: case.twist in ("no id", "other id", "odd id"),
    ),
    "limits": (
        "a rune has at most 256 restrictions and 8 KiB",
        lambda case: case.twist == "limits",
    ),
}

# Where the reference refuses and we allow: nothing. An entry would need the real node's bytes against the reference.
# (It wants base64 padding, which the rune language leaves to the writer: its runes are padded. What JSON writes otherwise than as
# a string it is given as JSON text, as the node compares it, where Python would say True for true.)


def is_index(text: str) -> bool:
    return re.fullmatch(r"0|[1-9][0-9]*", text) is not None and int(text) < 2**64


def is_c_integer(text: str) -> bool:
    return re.fullmatch(r"[ \t\n\v\f\r]*[+-]?[0-9]+", text) is not None and -(2**63) <= int(text) < 2**63


def narrower(case: Case) -> set[str]:
    """Of a pair the reference allows: the reasons for which we refuse it. Empty where we allow it, too."""
    reasons = {name for name, (_, applies) in NARROWER_PAIRS.items() if applies(case)}
    for restriction in case.restrictions:
        why = set()
        for alternative in restriction.alternatives:
            if alternative.test(case.fields) is None:
                known = {name for name, (_, applies) in NARROWER_ALTERNATIVES.items() if applies(case, alternative)}
                if not known:
                    break
                why |= known
        else:
            reasons |= why
    return reasons


class Outcome:
    """Verdicts, counted, and the pairs that have no business to differ."""

    def __init__(self):
        self.verdicts, self.classes, self.failures = Counter(), Counter(), []

    def add(self, case: Case, ours: dict, reference: tuple[bool, str]):
        theirs, why = reference
        told = narrower(case) if theirs else set()
        self.verdicts[ours["allowed"], theirs] += 1
        self.classes.update(told)
        if ours["allowed"] != (theirs and not told):
            kind = "NARROWER THAN TOLD" if not ours["allowed"] else "WIDER THAN TOLD" if theirs else "OVER-GRANT"
            rune = "&".join(restriction.encode() for restriction in case.restrictions)
            verdicts = f"ours: {ours.get('reason', 'allowed')}; the reference: {why or 'allowed'}; told: {told or 'alike'}"
            self.failures.append(f"{kind}: {rune!r} ({case.twist}): {case.line()}\n  {verdicts}")

    def merge(self, other: "Outcome"):
        self.verdicts += other.verdicts
        self.classes += other.classes
        self.failures += other.failures[: max(0, 20 - len(self.failures))]

    @property
    def over_grants(self) -> int:
        return self.verdicts[True, False]

    def table(self) -> str:
        total = self.verdicts.total()
        rows = [
            ("pairs", total),
            ("allowed by both", self.verdicts[True, True]),
            ("refused by both", self.verdicts[False, False]),
            ("over-grants: ours allows, the reference refuses", self.over_grants),
            ("narrower: ours refuses, the reference allows", self.verdicts[False, True]),
        ]
        # A pair may be narrower for several reasons.
        rows += [(f"  {name}: {why}", self.classes[name]) for name, (why, _) in (NARROWER_ALTERNATIVES | NARROWER_PAIRS).items()]
        return "\n".join(f"{count:>9,} {100 * count / total:5.1f} %  {what}" for what, count in rows)


def judge(task: tuple) -> Outcome:
    seed, count, secret, id, state_dir = task
    source = Source(seed, secret, id)
    cases = [source.case() for _ in range(count)]
    done = subprocess.run(
        [BINARY, "rune", "check", "--batch", "--state-dir", state_dir],
        input="".join(case.line() + "\n" for case in cases).encode(),
        capture_output=True,
        timeout=CHUNK_SECONDS,
    )
    assert done.returncode == 0, f"seed {seed}: exit {done.returncode}: {done.stderr.decode()}"
    answers = done.stdout.splitlines()
    assert len(answers) == count, f"seed {seed}: {len(answers)} answers"
    outcome = Outcome()
    for case, answer in zip(cases, answers):
        outcome.add(case, json.loads(answer), source.master.check_with_reason(case.reference_rune, case.fields))
    return outcome


def run(pairs: int, seed: int) -> Outcome:
    """Judges so many pairs. A seed's pairs are the same in every run but for the secret and the id."""
    with tempfile.TemporaryDirectory(prefix="runeward-") as state_dir:
        rune = runeward("rune", "create", "--state-dir", state_dir).stdout.strip()
        id = Rune.from_base64(rune).restrictions[0].alternatives[0].value
        secret = bytes.fromhex((Path(state_dir) / "rune-secret").read_text().strip())
        starts = range(0, pairs, CHUNK)
        tasks = [(f"{seed}/{start}", min(CHUNK, pairs - start), secret, id, state_dir) for start in starts]
        total = Outcome()
        with Pool(PROCESSES) as pool:
            for outcome in pool.imap_unordered(judge, tasks):
                total.merge(outcome)
        return total


def main(pairs: int = 50_000, seed: int | None = None) -> int:
    seed = random.randrange(2**32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    outcome = run(pairs, seed)
    print(outcome.table(), *outcome.failures, sep="\n")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
