"""Adapter folders as PEFT and the programs that use it write them, for foreign_adapters_test.py.

Usage: foreign_adapters_peft.py SOURCE OUT, in PEFT's reference environment. Makes a folder a row of the table below, and prints one
JSON line each: {"name", "folder", "base", "labels", "expect": "equal" | "refused", "words": what a refusal or a warning says, "logits":
of TEXTS by the library itself, "arguments": further ones of graft import}.
"""
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
TEXTS = ["w1 w2 w3", "w40 w7 w7 w19 w80 w5", "w91", "w30 w31 w32 w33 w34 w35 w36 w37 w38 w39 w60 w61"]
LABELS = ["negative", "neutral", "positive"]
DISTIL = ["q_lin", "v_lin"]

# What is to come of each folder was written down before any of it was read:
# name, base, options of LoraConfig, what is done to the folder, what is expected, a word of the refusal or warning.
ROWS = [
    ("default", "bert", {}, None, "equal", ""),
    ("distilbert-default", "distilbert", {"target_modules": DISTIL}, None, "equal", ""),
    ("all-linear", "bert", {"target_modules": "all-linear"}, None, "equal", ""),
    ("dense", "bert", {"target_modules": ["dense"]}, None, "equal", ""),
    ("every-linear-distilbert", "distilbert", {"target_modules": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]}, None,
     "equal", ""),
    ("regex", "bert", {"target_modules": r".*\.(query|value)"}, None, "equal", ""),
    ("regex-layers", "bert", {"target_modules": r"bert\.encoder\.layer\.(?:0|2)\..*\bkey"}, None, "equal", ""),
    ("regex-lookahead", "bert", {"target_modules": r"(?!.*layer\.1).*query"}, None, "refused", "look-around"),
    ("excluded", "bert", {"target_modules": ["query", "key"], "exclude_modules": ["layer.1.attention.self.key"]}, None, "equal", ""),
    ("excluded-regex", "bert", {"target_modules": ["query"], "exclude_modules": r".*\.[01]\..*"}, None, "equal", ""),
    ("layers", "bert", {"target_modules": ["query"], "layers_to_transform": [0, 2]}, None, "equal", ""),
    ("one-layer", "bert", {"target_modules": ["query", "output.dense"], "layers_to_transform": 1, "layers_pattern": "layer"}, None,
     "equal", ""),
    ("rank-pattern", "bert", {"target_modules": ["query", "value"], "rank_pattern": {"value": 2, r"layer.0.*query": 6}}, None,
     "equal", ""),
    ("alpha-pattern", "distilbert", {"target_modules": DISTIL, "alpha_pattern": {"q_lin": 3, "v_lin": 20}}, None, "equal", ""),
    ("rslora-patterns", "bert", {"use_rslora": True, "rank_pattern": {"query": 9}, "alpha_pattern": {"layer.1.*value": 5}}, None,
     "equal", ""),
    ("dropout", "bert", {"lora_dropout": 0.1, "target_modules": ["dense"]}, None, "equal", ""),
    ("gaussian", "bert", {"init_lora_weights": "gaussian"}, None, "equal", ""),
    ("orthogonal", "bert", {"init_lora_weights": "orthogonal"}, None, "equal", ""),
    ("bias-lora-only", "bert", {"bias": "lora_only"}, None, "equal", ""),
    ("bias-all", "bert", {"bias": "all"}, None, "equal", ""),
    ("bias-all-distilbert", "distilbert", {"bias": "all", "target_modules": DISTIL}, None, "equal", ""),
    ("pooler-saved", "bert", {"modules_to_save": ["pooler"]}, None, "equal", ""),
    ("norms-saved", "bert", {"modules_to_save": ["LayerNorm"]}, None, "equal", ""),
    ("keys-saved", "bert", {"modules_to_save": ["key"]}, None, "equal", ""),
    ("layer-saved", "bert", {"modules_to_save": ["layer.2"]}, None, "equal", ""),
    ("words-saved", "bert", {"modules_to_save": ["word_embeddings"]}, None, "equal", ""),
    ("nested-saved", "bert", {"modules_to_save": ["embeddings"]}, None, "refused", "one within it"),
    ("nested-saved-distilbert", "distilbert", {"modules_to_save": ["embeddings"], "target_modules": DISTIL}, None, "refused",
     "one within it"),
    ("saved-and-targeted", "bert", {"modules_to_save": ["query"]}, None, "equal", ""),
    ("no-task", "bert", {"task_type": None, "modules_to_save": ["classifier"], "target_modules": ["query"]}, None, "equal", ""),
    ("fp16", "bert", {}, "fp16", "equal", ""),
    ("bf16", "bert", {}, "bf16", "equal", ""),
    ("fp64", "distilbert", {"target_modules": DISTIL}, "fp64", "equal", ""),
    ("named", "bert", {}, "named", "equal", ""),
    ("compiled", "bert", {}, "compiled", "equal", ""),
    ("adapter-name-in-keys", "bert", {}, "name-in-keys", "equal", ""),
    ("first-versions-config", "bert", {}, "old-config", "equal", ""),
    ("git-clone", "bert", {}, "clone", "equal", "left aside"),
    ("unpacked-zip", "bert", {}, "zip", "equal", ""),
    ("hub-snapshot", "bert", {}, "snapshot", "equal", ""),
    ("own-same-tokenizer", "bert", {}, "tokenizer", "equal", ""),
    ("labels-in-config", "bert", {}, "labels", "equal", ""),
    ("untrained", "bert", {}, "zero", "equal", "changes nothing"),
    ("own-other-tokenizer", "bert", {}, "other-tokenizer", "refused", "tokenizer"),
    ("dora", "bert", {"use_dora": True}, None, "refused", "use_dora"),
    ("lora-bias", "bert", {"lora_bias": True}, None, "refused", "lora_bias"),
    ("tokens", "bert", {"trainable_token_indices": [1, 2]}, None, "refused", "trainable_token_indices"),
    ("embeddings-adapted", "bert", {"target_modules": ["query", "word_embeddings"]}, None, "refused", "embedding"),
    ("head-adapted", "bert", {"task_type": None, "target_modules": ["query", "classifier"]}, None, "refused", "classifier"),
    ("no-head", "bert", {"task_type": None, "target_modules": ["query"]}, None, "refused", "classifier"),
    ("features", "bert", {"task_type": "FEATURE_EXTRACTION"}, "features", "refused", "without a classification head"),
    ("tokens-task", "bert", {}, "token-task", "refused", "TOKEN_CLS"),
    ("pissa", "bert", {"init_lora_weights": "pissa"}, None, "refused", "pissa"),
    ("ia3", "bert", {}, "ia3", "refused", "IA3"),
    ("pickle", "bert", {}, "pickle", "refused", "pickle"),
    ("zero3", "bert", {}, "empty", "refused", "DeepSpeed"),
    ("reward", "bert", {}, "one-label", "refused", "1 output"),
    ("multi-label", "bert", {}, "multi-label", "refused", "multi_label"),
    ("disagreeing", "bert", {}, "disagree", "refused", "isn't adapted"),
]


def shake(model):
    """At their defaults B is zero, and an adapter that is ignored would pass."""
    generator = torch.Generator().manual_seed(5)
    for _, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad:
            parameter.data += 0.15 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


def make_model(base, options, change):
    labels = 1 if change == "one-label" else len(LABELS)
    if change == "features":
        plain = AutoModel.from_pretrained(base)
    else:
        plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels)
    if change == "ia3":
        return peft.get_peft_model(plain, peft.IA3Config(task_type="SEQ_CLS"))
    config = peft.LoraConfig(**{"task_type": "SEQ_CLS", "r": 4, "lora_alpha": 6, **options})
    return peft.get_peft_model(plain, config, adapter_name="mine" if change == "named" else "default")


def logits_of(model, base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        return [model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in TEXTS]


def edit(folder, **fields):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config.update(fields)
    path.write_text(json.dumps(config, indent=2))


def rename(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file({change(key): tensor for key, tensor in load_file(path).items()}, path)


def old_config(folder):
    """The few fields of PEFT's first versions."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    kept = ("base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "lora_alpha", "lora_dropout", "modules_to_save",
            "peft_type", "r", "target_modules", "task_type")
    path.write_text(json.dumps({**{key: config[key] for key in kept}, "enable_lora": None, "merge_weights": False}))


def write_beside(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\x80\x02 nobody reads this")


def nest(folder, path):
    """Moves the folder's files down to `path` inside it."""
    inner = folder.with_name(folder.name + ".inner")
    folder.rename(inner)
    (folder / path).parent.mkdir(parents=True)
    shutil.move(inner, folder / path)


def snapshot(folder):
    """As the Hub's cache keeps it: links into a folder of blobs."""
    nest(folder, "snapshots/0123abcd")
    (folder / "blobs").mkdir()
    for file in (folder / "snapshots/0123abcd").iterdir():
        blob = folder / "blobs" / f"blob-{file.name}"
        file.rename(blob)
        file.symlink_to(f"../../blobs/{blob.name}")


def tokenizer_of(folder, base, words=None):
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    if words:
        for name in ("tokenizer.json", "vocab.txt"):
            path = folder / name
            if path.exists():
                text = path.read_text()
                path.write_text(text.replace(words[0], "\0").replace(words[1], words[0]).replace("\0", words[1]))


def change_folder(folder, change, base):
    if change == "compiled":
        rename(folder, lambda key: key.replace("base_model.model.", "base_model.model._orig_mod."))
    elif change == "name-in-keys":
        rename(folder, lambda key: key.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.default.").replace(
            "classifier.", "classifier.modules_to_save.default."))
    elif change == "old-config":
        old_config(folder)
    elif change == "clone":
        write_beside(folder, ".gitattributes", ".DS_Store", "README.md", "picture.png", ".git/HEAD", "adapter_model.bin")
        # What Windows and old Latin-1 systems leave in archives: names that are no plain text elsewhere.
        write_beside(folder, "notes\\old.txt", os.fsdecode(b"caf\xe9.txt"), "line\nend.txt")
    elif change == "zip":
        nest(folder, "adapter")
        write_beside(folder, "__MACOSX/._adapter")
    elif change == "snapshot":
        snapshot(folder)
    elif change == "tokenizer":
        tokenizer_of(folder, base)
    elif change == "other-tokenizer":
        tokenizer_of(folder, base, ("w11", "w22"))
    elif change == "labels":
        (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(LABELS)), "problem_type": None}))
    elif change == "token-task":
        edit(folder, task_type="TOKEN_CLS")
    elif change == "pickle":
        (folder / "adapter_model.safetensors").unlink()
        write_beside(folder, "adapter_model.bin")
    elif change == "empty":
        path = folder / "adapter_model.safetensors"
        save_file({key: torch.empty(0) if "lora_" in key else tensor for key, tensor in load_file(path).items()}, path)
    elif change == "multi-label":
        (folder / "config.json").write_text(json.dumps({"problem_type": "multi_label_classification"}))
    elif change == "disagree":
        edit(folder, target_modules=["query"])


def make(source, out):
    """Makes every folder; yields the rows' outcomes."""
    for name, family, options, change, expect, words in ROWS:
        base = Path(source) / f"tests/golden/data/base-{family}"
        torch.manual_seed(3)
        model = make_model(base, options, change).eval()
        if change != "zero":
            shake(model)
        kind = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}.get(change)
        if kind:  # What is stored is what PEFT computes with again, in fp32.
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.to(kind).float()
        folder = Path(out) / "peft" / name
        row = {"name": name, "folder": str(folder), "base": family, "labels": LABELS, "expect": expect, "words": words, "logits": None,
               "arguments": []}
        if expect == "equal":
            row["logits"] = logits_of(model, base)
        model.save_pretrained(folder)
        if kind:
            path = folder / "adapter_model.safetensors"
            save_file({key: tensor.to(kind) for key, tensor in load_file(path).items()}, path)
        if change in ("labels",):
            row["labels"] = []
        if change == "one-label":
            row["labels"] = ["score"]
        change_folder(folder, change, base)
        yield row


if __name__ == "__main__":
    torch.set_num_threads(1)
    for made in make(sys.argv[1], sys.argv[2]):
        print(json.dumps(made), flush=True)
