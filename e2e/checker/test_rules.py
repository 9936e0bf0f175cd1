"""The list of rules is the checker's own: none is missing, none is only a promise."""

import re
from pathlib import Path

from .rules import RULES

HERE = Path(__file__).resolve().parent
ELSEWHERE = {"finding.py", "rules.py", "__init__.py"}


def named_in(paths):
    return set(re.findall(r'"(H-\d+)"', "".join(path.read_text() for path in paths)))


def test_every_rule_that_is_checked_is_listed_and_the_reverse():
    modules = [path for path in HERE.glob("*.py") if not path.name.startswith("test_") and path.name not in ELSEWHERE]
    assert named_in(modules) == set(RULES)


def test_every_rule_has_a_sample_that_breaks_it():
    samples = [path for path in HERE.glob("test_*.py")]
    assert set(RULES) - named_in(samples) == set()
