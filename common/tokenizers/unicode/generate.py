"""Generates the tables beside it: what the Rust tokenizers library does to every code point, found by asking it.

It knows several Unicodes at once: BERT's normalizer has 8.0's categories for control, mark and punctuation characters (crate
unicode_categories 0.1.1), NFD and NFC have 9.0's decompositions and combining classes, split patterns have Oniguruma's classes,
lower case, white space and numbers are rustc's. Rather than tracing each to its version, this asks the library itself
(tokenizers 0.23.3, from the peft oracle environment) about all 1,112,064 code points.

    oracle-peft/bin/python common/tokenizers/unicode/generate.py common/tokenizers/unicode
"""
import sys
import unicodedata
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
chinese = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
lower = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)
nfd = normalizers.NFD().normalize_str
nfc = normalizers.NFC().normalize_str
accents = normalizers.StripAccents()
words = pre_tokenizers.Whitespace()
split = pre_tokenizers.BertPreTokenizer()
digits = pre_tokenizers.Digits(individual_digits=True)

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HANGUL = range(0xAC00, 0xAC00 + 11172)


def listed(items):
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) > 96:
            lines.append(line)
            line = ""
        line += item
    return "\n".join([*lines, line])


def table(name, kind, items):
    return f"constexpr {kind} {name}[] = {{\n{listed(items)}}};\n"


def ranges(name, points):
    found = []
    for p in points:
        if found and found[-1][1] == p - 1:
            found[-1][1] = p
        else:
            found.append([p, p])
    return table(name, "Range", [f"{{0x{a:X},0x{b:X}}}," for a, b in found])


def maps(name, pairs):
    """Pairs (code point, sequence) as {code point, offset, length} into one array of code points."""
    pool, entries = [], []
    for c, seq in pairs:
        entries.append((c, len(pool), len(seq)))
        pool += seq
    return (table(name + "Pool", "uint32_t", [f"0x{p:X}," for p in pool]) +
            table(name, "Mapping", [f"{{0x{c:X},{o},{n}}}," for c, o, n in entries]))


def bert_tables():
    removed, space, cjk, marks, punctuation, breaks, lowered, any_marks, word = ([] for _ in range(9))
    for c in ALL:
        ch = chr(c)
        cleaned = clean.normalize_str("x" + ch + "x")[1:-1]
        if cleaned == "":
            removed.append(c)
        elif cleaned == " " and c != 0x20:
            space.append(c)
        else:
            assert cleaned == ch, hex(c)
        if chinese.normalize_str("x" + ch + "x") != "x" + ch + "x":
            cjk.append(c)
        parts = [p for p, _ in split.pre_tokenize_str("x" + ch + "x")]
        if parts == ["x", "x"]:
            breaks.append(c)
        elif len(parts) == 3:
            punctuation.append(c)
        else:
            assert parts == ["x" + ch + "x"], hex(c)
        if accents.normalize_str("x" + ch + "x") == "xx":
            any_marks.append(c)
        if [p for p, _ in words.pre_tokenize_str("x" + ch + "x")] == ["x" + ch + "x"]:
            word.append(c)
        low = lower.normalize_str(ch)
        if low != ch:
            lowered.append((c, [ord(k) for k in low]))
        if nfd(ch) == ch and strip.normalize_str("x" + ch) == "x":
            marks.append(c)
    return (ranges("kRemoved", removed) + ranges("kToSpace", space) + ranges("kChinese", cjk) +
            ranges("kNonspacingMarks", marks) + ranges("kMarks", any_marks) + ranges("kWord", word) +
            ranges("kPunctuation", punctuation) + ranges("kWhitespace", breaks) + maps("kLower", lowered))


def combining_classes():
    """(code point, class) of all that have one. The library shows none, but sorts by them: a mark that stays both before and
    behind a mark of a known class has that class."""
    def sorts(before, behind):
        return nfd("a" + before + behind) != "a" + before + behind

    known = {}  # One mark a class that the library knows too: it sorts with the lowest class or the highest.
    for c in ALL:
        ch, rank = chr(c), unicodedata.combining(chr(c))
        if rank and nfd(ch) == ch and (sorts("\u0345", ch) or sorts(ch, "\u0334")):
            known.setdefault(rank, ch)
    lowest, highest = known[min(known)], known[max(known)]
    found = []
    for c in ALL:
        ch = chr(c)
        if nfd(ch) != ch or not (sorts(highest, ch) or sorts(ch, lowest)):
            continue
        same = [rank for rank, mark in known.items() if not sorts(mark, ch) and not sorts(ch, mark)]
        assert len(same) == 1, hex(c)
        found.append((c, same[0]))
    return found


def normal_form_tables(classes):
    by_class = []
    for c, k in classes:
        if by_class and by_class[-1][1] == c - 1 and by_class[-1][2] == k:
            by_class[-1][1] = c
        else:
            by_class.append([c, c, k])
    decomposed, composed, seconds = [], [], set()
    for c in ALL:
        ch, parts = chr(c), nfd(chr(c))
        if c in HANGUL or parts == ch:
            continue
        decomposed.append((c, [ord(k) for k in parts]))
        if nfc(ch) != ch:
            continue
        first, second = nfc(parts[:-1]), parts[-1]
        assert len(first) == 1 and nfc(first + second) == ch, hex(c)
        composed.append((ord(first), ord(second), c))
        seconds.add(ord(second))
    seconds |= set(range(0x1161, 0x1161 + 21)) | set(range(0x11A8, 0x11A8 + 27))
    unstable = sorted(seconds | {c for c, _ in classes} | {c for c in ALL if nfc(chr(c)) != chr(c)})
    return (maps("kDecomposed", decomposed) + table("kCombining", "ClassRange", [f"{{0x{a:X},0x{b:X},{k}}}," for a, b, k in by_class]) +
            table("kComposed", "Composition", [f"{{0x{a:X},0x{b:X},0x{c:X}}}," for a, b, c in sorted(composed)]) +
            ranges("kUnstable", unstable))


def class_tables():
    def matching(pattern):
        replace = normalizers.Replace(Regex(pattern), "")
        return [c for c in ALL if replace.normalize_str(chr(c)) == ""]

    letters, numbers, spaces = matching(r"\p{L}"), matching(r"\p{N}"), matching(r"\s")
    others = matching(r"[^\s\p{L}\p{N}]")
    assert sorted(letters + numbers + spaces + others) == ALL
    numeric = [c for c in ALL if len(digits.pre_tokenize_str("a" + chr(c) + "b")) == 3]
    return (ranges("kLetters", letters) + ranges("kNumbers", numbers) + ranges("kSpaces", spaces) +
            ranges("kNumeric", numeric))


def main():
    folder = Path(sys.argv[1])
    for name, text in (("tables.inc", bert_tables()), ("normal_forms.inc", normal_form_tables(combining_classes())),
                       ("classes.inc", class_tables())):
        (folder / name).write_text("// Made by generate.py; see there. Do not edit.\n" + text, encoding="ascii")


if __name__ == "__main__":
    main()
