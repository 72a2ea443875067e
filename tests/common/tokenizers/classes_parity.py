#!/usr/bin/env python3
"""Which class reads a tokenizer.json of byte pair encoding: graft against transformers 4 and 5, folder by folder.

    classes_parity.py TOKENIZE_LINES

A row's folder is read as both versions read it, or by the one that can; or it is refused, and then the two do differ, or the
row says that neither is asked. Exit code 77: skipped, with a sentence that says what is missing.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

MARK = "\u2581"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
TEXTS = ["hello world", " hello", "  he  w", "he</s>he", "</s> he <s>", "12 1 2", "don't I'LL", "e\u0301 \u00e9", "a<|endoftext|>b",
         "<s>", "", " ", "\u4e2d\u56fd", "h\n\n  e", "x<pad>y", "<|endoftext|> he"]
SKIPPED = 77


def special(content, number, **flags):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def model(tokens, merges, **options):
    tokens = tokens + [left + right for left, right in merges]
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)},
            "merges": [list(merge) for merge in merges], **options}


def template(bos=None, eos=None):
    """What stands around a text, ids and all."""
    def put(token, kind):
        return [{"SpecialToken": {"id": token[0], "type_id": kind}}] if token else []

    a, b = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    single = [*put(bos, 0), a, *put(eos, 0)]
    return {"type": "TemplateProcessing", "single": single, "pair": [*single, *put(bos, 1), b, *put(eos, 1)],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in filter(None, (bos, eos))}}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PREPEND = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK},
                                               {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]}
DIGITS = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]}
BOS, EOS = ("<s>", 1), ("</s>", 2)


def metaspace(scheme, split=False):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


def split(pattern):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {**BYTE_LEVEL, "use_regex": False}]}


def spelled():
    """GPT-2's alphabet of bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + shifted.index(b)) for b in range(256)]


def llama(**stages):
    """As transformers 5's LlamaTokenizer puts it together."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), MARK, *"helowr12.\u00e9"]
    merges = [("h", "e"), ("l", "l"), (MARK, "he"), (MARK + "he", "ll"), (MARK + "hell", "o"), (MARK, MARK), (MARK, "w")]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [special(t, i) for i, t in enumerate(tokens[:3])], "normalizer": None,
            "pre_tokenizer": metaspace("first"), "post_processor": template(BOS),
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": model(tokens, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True), **stages}


def gpt2(**stages):
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("\u0120", "w"), ("\u0120", "\u0120"), ("1", "2"),
              ("\u00c3", "\u00a9"), ("d", "o")]
    made = model(spelled(), merges, continuing_subword_prefix="", end_of_word_suffix="")
    end = len(made["vocab"])
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [special("<|endoftext|>", end)],
            "normalizer": None, "pre_tokenizer": BYTE_LEVEL, "post_processor": BYTE_LEVEL, "decoder": BYTE_LEVEL,
            "model": made, **stages}


def qwen2(**stages):
    return gpt2(**{"normalizer": {"type": "NFC"}, "pre_tokenizer": split(QWEN2), **stages})


def with_model(tokenizer, **options):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer["model"].update(options)
    return tokenizer


def without_byte(tokenizer):
    """A vocabulary in which the letter x has no token."""
    tokenizer = copy.deepcopy(tokenizer)
    del tokenizer["model"]["vocab"]["x"]
    vocab = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {t: i for i, t in enumerate(vocab)}
    tokenizer["added_tokens"][0]["id"] = len(vocab)
    return tokenizer


def without_special(tokenizer, content):
    return {**tokenizer, "added_tokens": [t for t in tokenizer["added_tokens"] if t["content"] != content]}


READ, DIFFER, REFUSED = "read", "they differ", "refused without asking"
CLASS = "tokenizer_class"
# Name, tokenizer.json, tokenizer_config.json, model_type, outcome.
TABLE = [
    ("llama", llama(), {CLASS: "LlamaTokenizer"}, "llama", READ),
    ("llama-fast", llama(), {CLASS: "LlamaTokenizerFast", "legacy": False}, "llama", READ),
    ("llama-legacy", llama(pre_tokenizer=metaspace("always")), {CLASS: "LlamaTokenizer", "legacy": True}, "llama", READ),
    ("llama-legacy-null", llama(), {CLASS: "LlamaTokenizer", "legacy": None}, "llama", READ),
    ("llama-prefix-null", llama(), {CLASS: "LlamaTokenizer", "add_prefix_space": None}, "llama", READ),
    ("llama-eos", llama(post_processor=template(BOS, EOS)), {CLASS: "LlamaTokenizer", "add_eos_token": True}, "llama", READ),
    ("llama-no-bos", llama(post_processor=None), {CLASS: "LlamaTokenizer", "add_bos_token": False}, "llama", READ),
    ("llama-no-class", llama(), None, "llama", READ),
    ("llama-no-class-but-settings", llama(), {"legacy": True}, "llama", READ),
    ("llama-prepend", llama(normalizer=PREPEND, pre_tokenizer=None), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-prepend-legacy", llama(normalizer=PREPEND, pre_tokenizer=None), {CLASS: "LlamaTokenizer", "legacy": True}, "llama",
     DIFFER),
    ("llama-prepend-generic", llama(normalizer=PREPEND, pre_tokenizer=None), {CLASS: "PreTrainedTokenizerFast"}, "llama", READ),
    ("llama-prepend-backend", llama(normalizer=PREPEND, pre_tokenizer=None), {CLASS: "TokenizersBackend"}, "llama", READ),
    ("llama-prepend-no-class", llama(normalizer=PREPEND, pre_tokenizer=None), None, "llama", READ),
    ("llama-says-legacy", llama(), {CLASS: "LlamaTokenizer", "legacy": True}, "llama", DIFFER),
    ("llama-always", llama(pre_tokenizer=metaspace("always")), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-never", llama(pre_tokenizer=metaspace("never")), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-split", llama(pre_tokenizer=metaspace("first", True)), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-file-without-bos", llama(post_processor=None), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-file-with-bos", llama(), {CLASS: "LlamaTokenizer", "add_bos_token": False}, "llama", DIFFER),
    ("llama-ignore-merges", with_model(llama(), ignore_merges=True), {CLASS: "LlamaTokenizer"}, "llama", REFUSED),
    ("llama-fallback", with_model(llama(), byte_fallback=False), {CLASS: "LlamaTokenizer"}, "llama", DIFFER),
    ("llama-prefix-stated", llama(), {CLASS: "LlamaTokenizer", "add_prefix_space": True}, "llama", REFUSED),
    ("llama3", gpt2(pre_tokenizer=split(LLAMA3), post_processor=template(("<|endoftext|>", 265))),
     {CLASS: "LlamaTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
     "llama", READ),
    ("llama3-generic", gpt2(pre_tokenizer=split(LLAMA3)), {CLASS: "PreTrainedTokenizerFast"}, "llama", READ),
    ("mistral", llama(normalizer=PREPEND, pre_tokenizer=None), {CLASS: "LlamaTokenizer", "legacy": True}, "mistral", READ),
    ("mistral-no-class", llama(normalizer=PREPEND, pre_tokenizer=None), None, "mistral", READ),
    ("mistral-without-bos", llama(post_processor=None), None, "mistral", DIFFER),
    ("mistral-unlisted-bos", without_special(llama(), "<s>"), {CLASS: "LlamaTokenizer"}, "mistral", DIFFER),
    ("gpt2", gpt2(), {CLASS: "GPT2Tokenizer"}, "gpt2", READ),
    ("gpt2-no-class", gpt2(), None, "gpt2", READ),
    ("gpt2-generic", gpt2(pre_tokenizer=DIGITS), {CLASS: "PreTrainedTokenizerFast"}, "gpt2", READ),
    ("gpt2-adds-bos", gpt2(post_processor=None), {CLASS: "GPT2Tokenizer", "add_bos_token": True}, "gpt2", READ),
    ("gpt2-prefix", gpt2(pre_tokenizer={**BYTE_LEVEL, "add_prefix_space": True}),
     {CLASS: "GPT2Tokenizer", "add_prefix_space": True}, "gpt2", READ),
    ("gpt2-prefix-in-config", gpt2(), {CLASS: "GPT2Tokenizer", "add_prefix_space": True}, "gpt2", REFUSED),
    ("gpt2-digits", gpt2(pre_tokenizer=DIGITS), {CLASS: "GPT2Tokenizer"}, "llama", DIFFER),
    ("gpt2-unknown", with_model(without_byte(gpt2()), unk_token="h"), {CLASS: "GPT2Tokenizer"}, "gpt2", DIFFER),
    ("gpt2-lacks-a-byte", without_byte(gpt2()), {CLASS: "GPT2Tokenizer"}, "gpt2", READ),
    ("generic-prefix", gpt2(pre_tokenizer={**BYTE_LEVEL, "add_prefix_space": True}), {CLASS: "PreTrainedTokenizerFast"}, "llama",
     DIFFER),
    ("generic-prefix-stated", gpt2(pre_tokenizer={**BYTE_LEVEL, "add_prefix_space": True}),
     {CLASS: "PreTrainedTokenizerFast", "add_prefix_space": True}, "llama", READ),
    ("qwen2", qwen2(), {CLASS: "Qwen2Tokenizer"}, "qwen2", READ),
    ("qwen3", qwen2(), {CLASS: "Qwen2TokenizerFast"}, "qwen3", READ),
    ("qwen3-no-class", qwen2(), None, "qwen3", READ),
    ("qwen3-generic", gpt2(pre_tokenizer=split(LLAMA3)), {CLASS: "PreTrainedTokenizerFast"}, "qwen3", READ),
    ("qwen2-generic", qwen2(), {CLASS: "PreTrainedTokenizerFast"}, "qwen2", READ),
    ("qwen2-generic-other", gpt2(pre_tokenizer=split(LLAMA3)), {CLASS: "PreTrainedTokenizerFast"}, "qwen2", DIFFER),
    ("qwen3-other", qwen2(normalizer=None), {CLASS: "Qwen2Tokenizer"}, "qwen3", DIFFER),
    ("qwen3-prefix", qwen2(), {CLASS: "Qwen2Tokenizer", "add_prefix_space": True}, "qwen3", DIFFER),
]


def write_folders(folder):
    for name, tokenizer, config, model_type, _ in TABLE:
        path = folder / name
        path.mkdir()
        (path / "tokenizer.json").write_text(json.dumps(tokenizer))
        (path / "config.json").write_text(json.dumps({"model_type": model_type}))
        if config is not None:
            (path / "tokenizer_config.json").write_text(json.dumps(config))


def read(folder):
    """Prints a row's ids and the text that they give, as this environment's transformers reads them."""
    import transformers

    transformers.logging.set_verbosity_error()
    for name, *_ in TABLE:
        row = {"name": name}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder / name)
            row["ids"] = [tokenizer(text)["input_ids"] for text in TEXTS if "\n" not in text]
        except Exception as error:  # What this version can't load, the other may.
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(row), flush=True)


def tokenize(program, folder):
    texts = [text for text in TEXTS if "\n" not in text]
    done = subprocess.run([program, folder], input="\n".join(texts) + "\n", capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return [[int(number) for number in line.split()] for line in done.stdout.split("\n")[:-1]], None


def check(name, outcome, ours, refusal, readings):
    """The faults of a row."""
    loaded = {version: reading["ids"] for version, reading in readings.items() if "ids" in reading}
    if outcome != READ:
        if refusal is None:
            return [f"{name}: read, where the table says that it is refused"]
        if outcome == DIFFER and (len(loaded) < 2 or loaded[4] == loaded[5]):
            return [f"{name}: refused, though the versions don't differ: {readings}"]
        return []
    if refusal is not None:
        return [f"{name}: refused: {refusal}"]
    if not loaded:
        return [f"{name}: no version loads it: {readings}"]
    return [f"{name}: transformers {version}: {theirs}, not {ours}" for version, theirs in loaded.items() if ours != theirs]


def main():
    if len(sys.argv) > 2:
        os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        warnings.filterwarnings("ignore")
        return read(Path(sys.argv[2]))
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
    from oracles import find_oracles

    oracles = find_oracles()
    if oracles is None:
        return SKIPPED
    faults = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        write_folders(folder)
        readings = {}
        for version, python in ((4, oracles["adapters"]), (5, oracles["peft"])):
            done = subprocess.run([python, __file__, "read", folder], capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
            for line in done.stdout.splitlines():
                row = json.loads(line)
                readings.setdefault(row["name"], {})[version] = row
        for name, _, _, _, outcome in TABLE:
            faults += check(name, outcome, *tokenize(sys.argv[1], folder / name), readings[name])
    print(*faults, sep="\n")
    print(f"{len(TABLE)} folders, {sum(row[4] == READ for row in TABLE)} of them read, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
