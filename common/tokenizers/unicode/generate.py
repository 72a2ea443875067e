"""Generates tables.inc: what the Rust tokenizers library does to every code point, found by asking it.

BERT's normalizer there uses Unicode 8.0 categories (crate unicode_categories 0.1.1) for control, mark and punctuation
characters, a newer Unicode for decomposition, and rustc's for lower case and white space. Rather than tracing each to its
version, this asks the library itself (tokenizers 0.23.3, from the peft oracle environment) about all 1,112,064 code points.
Canonical combining classes, which it doesn't show, are Python's (Unicode 14).

    oracle-peft/bin/python common/tokenizers/unicode/generate.py > common/tokenizers/unicode/tables.inc
"""
import sys
import unicodedata

from tokenizers import normalizers, pre_tokenizers

clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
chinese = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
lower = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)
nfd = normalizers.NFD()
accents = normalizers.StripAccents()
words = pre_tokenizers.Whitespace()
split = pre_tokenizers.BertPreTokenizer()

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HANGUL = range(0xAC00, 0xAC00 + 11172)


def ranges(points):
    out = []
    for p in points:
        if out and out[-1][1] == p - 1:
            out[-1][1] = p
        else:
            out.append([p, p])
    return out


def emit_ranges(name, points):
    rs = ranges(points)
    print(f"constexpr Range {name}[] = {{")
    line = ""
    for a, b in rs:
        item = f"{{0x{a:X},0x{b:X}}},"
        if len(line) + len(item) > 96:
            print(line)
            line = ""
        line += item
    print(line + "};")


def emit_maps(name, pairs):
    """Pairs (code point, sequence) as {code point, offset, length} into one array of code points."""
    pool, entries = [], []
    for c, seq in pairs:
        entries.append((c, len(pool), len(seq)))
        pool += seq
    for suffix, ctype, items in (("Pool", "uint32_t", [f"0x{p:X}," for p in pool]),
                                 ("", "Mapping", [f"{{0x{c:X},{o},{n}}}," for c, o, n in entries])):
        print(f"constexpr {ctype} {name}{suffix}[] = {{")
        line = ""
        for item in items:
            if len(line) + len(item) > 96:
                print(line)
                line = ""
            line += item
        print(line + "};")


removed, space, cjk, marks, punctuation, breaks, lowered, decomposed = [], [], [], [], [], [], [], []
any_marks, word = [], []
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
    d = nfd.normalize_str(ch)
    if d != ch and c not in HANGUL:
        decomposed.append((c, [ord(k) for k in d]))
    if d == ch and strip.normalize_str("x" + ch) == "x":
        marks.append(c)

classes = [(c, unicodedata.combining(chr(c))) for c in ALL if unicodedata.combining(chr(c))]
by_class = []
for c, k in classes:
    if by_class and by_class[-1][1] == c - 1 and by_class[-1][2] == k:
        by_class[-1][1] = c
    else:
        by_class.append([c, c, k])

print("// Made by generate.py; see there. Do not edit.")
emit_ranges("kRemoved", removed)
emit_ranges("kToSpace", space)
emit_ranges("kChinese", cjk)
emit_ranges("kNonspacingMarks", marks)
emit_ranges("kMarks", any_marks)
emit_ranges("kWord", word)
emit_ranges("kPunctuation", punctuation)
emit_ranges("kWhitespace", breaks)
emit_maps("kLower", lowered)
emit_maps("kDecomposed", decomposed)
print("constexpr ClassRange kCombining[] = {")
line = ""
for a, b, k in by_class:
    item = f"{{0x{a:X},0x{b:X},{k}}},"
    if len(line) + len(item) > 96:
        print(line)
        line = ""
    line += item
print(line + "};")
print(len(removed), len(space), len(cjk), len(marks), len(punctuation), len(breaks), len(lowered), len(decomposed),
      file=sys.stderr)
