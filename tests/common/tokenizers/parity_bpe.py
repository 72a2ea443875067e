"""Compares tokenize_lines with HuggingFace's tokenizers on one vocabulary of byte pair encoding.

    oracle-peft/bin/python parity_bpe.py [--pipelines] TOKENIZE_LINES TOKENIZER_JSON DECLARATIONS SOURCE [DATA]

Exits 1 with the first differing texts, or if there were fewer texts or scripts than stated below. Real texts are the Universal
Declaration of Human Rights in some 500 languages, paragraph by paragraph and whole, the files of the project and, if its folder
is there, the shared data. Made ones are characters beside their names, random strings, and pieces of what the patterns
tell apart in any order. All are encoded and decoded again, whole and as a stream. With --pipelines other stages around the
same vocabulary read a part.
"""
import html
import json
import random
import re
import sys
import tempfile
from pathlib import Path

from parity_support import compare, distinct, mixed_texts, named_texts, random_texts, read_tokenizer, script_of

LEAST_REAL = 40_000
LEAST_MADE = 40_000
LEAST_SCRIPTS = 40  # Of real texts.
# What patterns, merges and normal forms make something of.
PARTS = ["'s", "'S", "'t", "'Re", "'ve", "'M", "'ll", "'lL", "'d", "'\u017f", "'", "\u2019s", " ", " ", "  ", "   ", "\n", "\r\n",
         "\n\n", "\t", "\u00a0", "\u3000", "\u2028", "\u0085", "a", "Word", "the", "don", "1", "12", "2024", "\u0661", "\u00bd", "\u2167",
         ".", "...", "!?", "(", "//", "#", "\u2581", "\u2581\u2581", "\u4e2d\u6587", "\u3042", "\u0434\u043e\u043c", "\u05e9", "\u0645\u0631",
         "\u0e01\u0e33", "\u1112\u1161\u11ab", "\uac00", "e\u0301", "\u00e9", "\u212b", "\u0958", "\u0308", "\u0344", "\u1e69", "\U0001f642",
         "\U0001f44d\U0001f3fd", "\u200d", "\ufe0f", "\x01", "\x7f", "\ufffd", "<s>", "</s>", "<|endoftext|>",
         "<|im_start|>", "[INST]", "<think>", "<0x41>"]
# As in components/split_pattern.h.
PATTERNS = [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
PART = 4_000  # Texts that each further pipeline reads.
EXTREMES = ["a" * 100_000, " " * 50_000 + "x", "\n" * 30_000, "1" * 20_000, "\u4e2d" * 30_000, "ab" * 40_000, "!" * 40_000,
            "\u2581" * 10_000, "e\u0301" * 20_000, "\U0001f642" * 10_000, "'s" * 20_000, "x\u0301\u0323" * 5_000]


def declarations(folder):
    """Each paragraph, and each declaration whole."""
    for path in sorted(Path(folder).glob("*.html")):
        body = path.read_text(encoding="utf-8").partition("<body>")[2]
        parts = [html.unescape(re.sub(r"<[^>]*>", "", part)).strip()
                 for part in re.findall(r"<(?:p|h\d|li)\b[^>]*>(.*?)</(?:p|h\d|li)>", body, re.DOTALL)]
        yield from parts
        yield "\n\n".join(parts)


def files_of(source):
    for pattern in ("common/**/*.cc", "scripts/*.sh", "docs/*.md", "tests/**/*.py", "*.md"):
        for path in sorted(Path(source).glob(pattern)):
            yield path.read_text(encoding="utf-8")


def shared(data):
    text = (Path(data) / "text/valid.txt").read_text(encoding="utf-8")
    yield from text.split("\n")
    yield text
    for record in json.loads((Path(data) / "instructions/instruction-data.json").read_text(encoding="utf-8")):
        yield "\n".join(record.values())


def made_texts():
    named = list(named_texts())
    yield from random.Random(3).sample(named, 8_000)
    yield from random_texts(15_000)
    yield from mixed_texts(PARTS, 20_000, 12)
    yield from EXTREMES


def decoder_of(tokenizer):
    """The tokenizer with added tokens that are looked for as they stand: since 0.23 the library decodes those that it looks for
    in normalized text in that form, and then doesn't know which of them are special."""
    added = [{**token, "normalized": False} for token in tokenizer["added_tokens"]]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({**tokenizer, "added_tokens": added}, file)
        file.flush()
        return read_tokenizer(file.name)


def differences(what, tool, tokenizer, texts):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
        return compare(what, tool, folder, texts, decoder_of(tokenizer))


def without(model, characters, **options):
    """The model without tokens that hold one of these characters."""
    def keeps(token):
        return not any(ch in token for ch in characters)

    kept = [token for token in model["vocab"] if keeps(token)]
    merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]
    return {**model, "vocab": {token: i for i, token in enumerate(kept)},
            "merges": [merge for merge in merges if all(map(keeps, merge))], **options}


def added_tokens(tokenizer):
    """Tokens with every flag on top of the file's own."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    contents = [("Word", {"single_word": True}), ("dom", {"normalized": True}), ("2024", {"lstrip": True, "rstrip": True}),
                ("\u4e2d", {"normalized": True, "rstrip": True}), ("e\u0301", {"normalized": True}), ("the\n", {"lstrip": True})]
    count = max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]) + 1
    new = [(content, more) for content, more in contents if content not in tokenizer["model"]["vocab"]]
    return {"added_tokens": tokenizer["added_tokens"] + [{"id": count + i, "content": content, **flags, **more}
                                                         for i, (content, more) in enumerate(new)]}


def pipelines(tokenizer):
    """Other stages around the same vocabulary."""
    model = tokenizer["model"]
    yield "added tokens", added_tokens(tokenizer)
    yield "merges ignored", {"model": {**model, "ignore_merges": True}}
    if not model.get("byte_fallback"):
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        whole = {**byte_level, "use_regex": False}
        for name, behavior, invert in (("inverted", "Removed", True), ("isolated", "Isolated", False)):
            for pattern in PATTERNS:
                split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}
                yield name, {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, whole]}}
        digits = {"type": "Digits", "individual_digits": False}
        yield "digits", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, {**whole, "add_prefix_space": True}]}}
        yield "a space in front", {"normalizer": {"type": "NFC"}, "pre_tokenizer": {**byte_level, "add_prefix_space": True}}
        yield "bytes left out", {"model": without(model, "\u00e4qx"), "added_tokens": []}
        yield "bytes unknown", {"model": without(model, "\u00e4qx", unk_token="!", fuse_unk=True), "added_tokens": []}
        yield "no decoder", {"decoder": None}
        return
    for scheme in ("first", "always", "never"):
        for split in (False, True):
            metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
            yield f"metaspace {scheme}", {"normalizer": None, "pre_tokenizer": metaspace, "decoder": metaspace}
    tokens = {"added_tokens": [], "post_processor": None}
    yield "unknown apart", {"model": {**model, "byte_fallback": False, "fuse_unk": False}}
    yield "unknown left out", {"model": {**model, "byte_fallback": False, "unk_token": None}}
    yield "some bytes unknown", {"model": without(model, ["<0xE4>", "<0xF0>", "q"]), **tokens}
    yield "marks unknown", {"model": without(model, "\u2581"), **tokens}


def main():
    with_pipelines = "--pipelines" in sys.argv
    tool, path, folder, source, *data = [argument for argument in sys.argv[1:] if argument != "--pipelines"]
    tokenizer = json.loads(Path(path).read_text(encoding="utf-8"))
    real = list(distinct([*declarations(folder), *files_of(source)]))
    made = list(distinct(made_texts()))
    scripts = {script_of(text) for text in real}
    print(f"{len(real)} real texts of {len(scripts)} scripts, {len(made)} made ones")
    assert len(real) >= LEAST_REAL, f"only {len(real)} real texts"
    assert len(made) >= LEAST_MADE, f"only {len(made)} made texts"
    assert len(scripts) >= LEAST_SCRIPTS, f"only {len(scripts)} scripts"
    if data:
        real += list(distinct(shared(data[0])))
    different = differences("real", tool, tokenizer, real) + differences("made", tool, tokenizer, made)
    part = random.Random(4).sample(real, PART // 2) + random.Random(5).sample(made, PART // 2)
    for name, stages in pipelines(tokenizer) if with_pipelines else ():
        different += differences(name, tool, {**tokenizer, **stages}, part)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
