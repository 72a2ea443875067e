"""Fails if a test was skipped that tests/skips.txt doesn't name, and says which were.

Usage: skips.py RESULTS.xml SKIPS.txt    (ctest's --output-junit)
"""
import re
import sys
import xml.etree.ElementTree as xml


def read_allowed(text):
    """[(pattern, reason)] of a skip list; a line without a reason is an error."""
    allowed = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.strip().partition(" ")
        if not reason.strip():
            raise ValueError(f"line {number}: {pattern} has no reason")
        allowed.append((re.compile(pattern), reason.strip()))
    return allowed


def skipped_tests(results):
    """The names of the tests that were skipped, by ctest's JUnit file."""
    return [case.get("name") for case in xml.fromstring(results).iter("testcase") if case.find("skipped") is not None]


def judge(results, allowed):
    """({reason: [names]}, [names that no pattern matches])."""
    by_reason, unlisted = {}, []
    for name in skipped_tests(results):
        reason = next((reason for pattern, reason in allowed if pattern.fullmatch(name)), None)
        if reason is None:
            unlisted.append(name)
        else:
            by_reason.setdefault(reason, []).append(name)
    return by_reason, unlisted


def main(results_path, skips_path):
    with open(results_path, encoding="utf-8") as results, open(skips_path, encoding="utf-8") as skips:
        by_reason, unlisted = judge(results.read(), read_allowed(skips.read()))
    for reason, names in by_reason.items():
        print(f"skipped {len(names)}: {reason}")
    for name in unlisted:
        print(f"skipped, and tests/skips.txt doesn't name it: {name}", file=sys.stderr)
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
