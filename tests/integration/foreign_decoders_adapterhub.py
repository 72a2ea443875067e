"""Bottleneck folders of language models as AdapterHub writes them, for foreign_decoders_test.py.

Usage, in AdapterHub's reference environment: foreign_decoders_adapterhub.py SOURCE OUT, and SOURCE read TASKS; both as
foreign_decoders_peft.py's, but that nothing is merged.
"""
import json
import sys
import warnings
from pathlib import Path

import adapters
import torch
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import make_decoder_bottlenecks as golden  # noqa: E402

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
IDS = [[5, 9, 11], [40, 7, 7, 19, 79, 5, 33, 12], [17], [(i * 29 + 3) % 77 + 3 for i in range(40)]]
NAME = "hub"
DOUBLE = {"mh_adapter": True, "output_adapter": True, "non_linearity": "swish", "reduction_factor": 8}
SEQ = {"mh_adapter": False, "output_adapter": True, "original_ln_before": True, "non_linearity": "relu", "reduction_factor": 6}

# What is to come of each folder: name, base, fields of a BnConfig, how it is saved, what is expected, a word of the refusal.
ROWS = [
    ("hub-double", "llama", DOUBLE, "bare", "equal", ""),
    ("hub-double-mistral", "mistral", DOUBLE, "bare", "equal", ""),
    ("hub-seq", "llama", SEQ, "bare", "equal", ""),
    ("hub-seq-mistral", "mistral", SEQ, "bare", "equal", ""),
    ("hub-scaled", "llama", {**DOUBLE, "scaling": 3.0, "leave_out": [1]}, "bare", "equal", ""),
    ("hub-classifier", "llama", DOUBLE, "score", "equal", ""),
    ("hub-classifier-mistral", "mistral", SEQ, "score", "equal", ""),
    ("hub-with-head", "llama", DOUBLE, "head", "refused", "lm_head.weight"),
    ("hub-own-head", "llama", DOUBLE, "flexible", "refused", "causal_lm"),
    ("hub-gated", "llama", {**DOUBLE, "use_gating": True}, "bare", "refused", "use_gating"),
]


def logits_of(model):
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits for ids in IDS]
    return [(row[0] if row.dim() == 3 else row).tolist() for row in logits]


def make_model(base, fields, how):
    if how == "flexible":
        model = adapters.AutoAdapterModel.from_pretrained(base)
        model.add_causal_lm_head(NAME)
    else:
        model = golden.load(base, how == "score")
    model.add_adapter(NAME, config=adapters.BnConfig(**fields))
    model.set_active_adapters(NAME)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in sorted(model.named_parameters()):
        if f".{NAME}." in name or name == "score.weight":
            parameter.data += 0.15 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def make(source, out):
    for name, family, fields, how, expect, words in ROWS:
        torch.manual_seed(3)
        model = make_model(str(source / f"tests/golden/decoders/base-{family}"), fields, how)
        folder = out / "adapterhub" / name
        folder.mkdir(parents=True)
        model.save_adapter(str(folder), NAME, with_head=how != "bare", use_safetensors=True)
        labels = [part for label in golden.LABELS for part in ("--label-name", label)] if how == "score" else []
        print(json.dumps({"name": name, "folder": str(folder), "base": family, "expect": expect, "words": words, "arguments": labels,
                          "logits": logits_of(model) if expect == "equal" else None, "classifies": how == "score",
                          "template": None}), flush=True)


def read(source, tasks):
    for folder, _, family, classifies in tasks:
        base = str(source / f"tests/golden/decoders/base-{family}")
        if classifies:  # graft writes a head of the library's own.
            model = adapters.AutoAdapterModel.from_pretrained(base)
        else:
            model = golden.load(base, False)
        model.set_active_adapters(model.load_adapter(folder, use_safetensors=True))
        print(json.dumps({"folder": folder, "logits": logits_of(model.eval())}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[2] == "read":
        read(Path(sys.argv[1]), json.loads(Path(sys.argv[3]).read_text()))
    else:
        make(Path(sys.argv[1]), Path(sys.argv[2]))
