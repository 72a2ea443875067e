"""Adapter folders as AdapterHub writes them, for foreign_adapters_test.py.

Usage: foreign_adapters_adapterhub.py SOURCE OUT, in AdapterHub's reference environment. Makes a folder a row of the table below,
and prints one JSON line each: {"name", "folder", "base", "labels", "expect": "equal" | "refused", "words": what a refusal says,
"logits": of TEXTS by the library itself, "arguments": further ones of graft import}.
"""
import json
import sys
import warnings
from pathlib import Path

import adapters
import torch
from adapters.heads import ClassificationHead
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
TEXTS = ["w1 w2 w3", "w40 w7 w7 w19 w80 w5", "w91", "w30 w31 w32 w33 w34 w35 w36 w37 w38 w39 w60 w61"]
LABELS = ["negative", "neutral", "positive"]
NAME = "hub"
TANH = {}  # The default: two layers with tanh on the first token.
SEQ = {"mh_adapter": False, "output_adapter": True, "original_ln_before": True, "non_linearity": "relu", "reduction_factor": 6}
DOUBLE = {"mh_adapter": True, "output_adapter": True, "non_linearity": "swish", "reduction_factor": 8}

# What is to come of each folder:
# name, bases, preset's name or fields of a BnConfig, head ("static", a kind, or options of a classification head), expected, a word.
BOTH = ("bert", "distilbert")
ROWS = [
    ("default", BOTH, "seq_bn", TANH, "equal", ""),
    ("static", BOTH, "seq_bn", "static", "equal", ""),
    ("static-double", BOTH, "double_seq_bn", "static", "equal", ""),
    ("double-seq", BOTH, "double_seq_bn", TANH, "equal", ""),
    ("par", BOTH, "par_bn", TANH, "equal", ""),
    ("scaled-par", BOTH, "scaled_par_bn", TANH, "equal", ""),
    ("one-layer", BOTH, "seq_bn", {"layers": 1}, "equal", ""),
    ("three-layers", BOTH, "seq_bn", {"layers": 3, "activation_function": "gelu"}, "equal", ""),
    ("no-activation", BOTH, "seq_bn", {"layers": 2, "activation_function": None}, "equal", ""),
    ("relu-head", BOTH, "seq_bn", {"layers": 2, "activation_function": "relu"}, "equal", ""),
    ("no-bias", BOTH, "seq_bn", {"layers": 2, "bias": False}, "equal", ""),
    ("head-dropout", BOTH, "seq_bn", {"dropout_prob": 0.3}, "equal", ""),
    ("pooler", ("bert",), "seq_bn", {"layers": 1, "use_pooler": True}, "equal", ""),
    ("pooler-default", ("bert",), "double_seq_bn", {"use_pooler": True}, "equal", ""),
    ("numbered-labels", ("bert",), "seq_bn", {"id2label": None}, "equal", ""),
    ("layer-factors", BOTH, {**SEQ, "reduction_factor": {"default": 6, "1": 12}}, TANH, "equal", ""),
    ("left-out", BOTH, {**SEQ, "leave_out": [0, 11]}, TANH, "equal", ""),
    ("attention-only", BOTH, {**DOUBLE, "output_adapter": False}, TANH, "equal", ""),
    ("scaled", BOTH, {**SEQ, "scaling": 4.0}, TANH, "equal", ""),
    ("channels", BOTH, {**SEQ, "scaling": "channel"}, TANH, "equal", ""),
    ("adds-to-norm", BOTH, {**SEQ, "residual_before_ln": False}, TANH, "equal", ""),
    ("adds-to-sum", BOTH, {**SEQ, "residual_before_ln": "post_add"}, TANH, "equal", ""),
    ("adapter-plus", BOTH, {**SEQ, "residual_before_ln": False, "original_ln_after": False, "scaling": "channel",
                            "init_weights": "houlsby", "non_linearity": "gelu"}, TANH, "equal", ""),
    ("parallel-attention", BOTH, {**DOUBLE, "is_parallel": True, "init_weights": "mam_adapter"}, TANH, "equal", ""),
    ("adapter-residual", ("bert",), {**SEQ, "adapter_residual_before_ln": True}, TANH, "equal", ""),
    *[(f"{act}-adapter", ("bert",), {**SEQ, "non_linearity": act}, TANH, "equal", "")
      for act in ("gelu", "gelu_new", "leakyrelu", "tanh", "sigmoid", "mish", "quick_gelu", "relu6")],
    ("laplace", ("bert",), {**SEQ, "non_linearity": "laplace"}, TANH, "refused", "laplace"),
    ("norm-behind", ("bert",), {**SEQ, "ln_after": True}, TANH, "refused", "ln_after"),
    ("gated", ("bert",), {**SEQ, "use_gating": True}, TANH, "refused", "use_gating"),
    ("compacter", ("bert",), "compacter[phm_dim=2,reduction_factor=8]", TANH, "refused", "phm_layer"),
    ("inverting", ("bert",), "seq_bn_inv", TANH, "refused", "inv_adapter"),
    ("prefix", ("bert",), "prefix_tuning", TANH, "refused", "pickle"),
    ("lora", ("bert",), "lora", TANH, "refused", "lora"),
    ("ia3", ("bert",), "ia3", TANH, "refused", "architecture"),
    ("mam", ("bert",), "mam", TANH, "refused", "pickle"),
    ("unipelt", ("bert",), "unipelt", TANH, "refused", "pickle"),
    ("multi-label", ("bert",), "seq_bn", "multilabel", "refused", "multilabel_classification"),
    ("regression", ("bert",), "seq_bn", {"num_labels": 1, "id2label": None}, "refused", "regression"),
    ("tagging", ("bert",), "seq_bn", "tagging", "refused", "tagging"),
    ("choice", ("bert",), "seq_bn", "multiple_choice", "refused", "multiple_choice"),
    ("answers", ("bert",), "seq_bn", "qa", "refused", "question_answering"),
    ("causal", ("bert",), "seq_bn", "causal_lm", "refused", "causal_lm"),
    ("no-head", ("bert",), "seq_bn", None, "refused", "head_config.json"),
]


def shake(model):
    """At AdapterHub's initial values the adapter hardly does a thing, and one that is ignored would pass."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in sorted(model.named_parameters()):
        if f".{NAME}." in name or "classifier" in name or name.startswith("heads."):
            parameter.data += 0.15 * torch.randn(parameter.shape, generator=generator)


def add_head(model, head):
    labels = dict(enumerate(LABELS))
    if isinstance(head, dict):
        model.add_prediction_head(ClassificationHead(model, NAME, **{"num_labels": len(LABELS), "id2label": labels, **head}))
    elif head == "multilabel":
        model.add_classification_head(NAME, num_labels=len(LABELS), multilabel=True)
    elif head is not None:
        getattr(model, f"add_{head}_head")(NAME)


def make_model(base, config, head):
    if head == "static":
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=len(LABELS), id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)})
        adapters.init(model)
    else:
        model = adapters.AutoAdapterModel.from_pretrained(base)
        add_head(model, head)
    model.add_adapter(NAME, config=config if isinstance(config, str) else adapters.BnConfig(**config))
    model.set_active_adapters(NAME)
    shake(model)
    return model.eval()


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    for name, families, config, head, expect, words in ROWS:
        for family in families:
            base = source / f"tests/golden/data/base-{family}"
            model = make_model(str(base), config, head)
            folder = out / f"hub-{family}-{name}"
            folder.mkdir(parents=True)
            try:
                model.save_adapter(str(folder), NAME, use_safetensors=True)
            except RuntimeError:  # Prefixes share tensors between layers, so AdapterHub can only pickle them.
                model.save_adapter(str(folder), NAME)
            row = {"name": f"hub-{family}-{name}", "folder": str(folder), "base": family, "labels": LABELS, "expect": expect,
                   "words": words, "logits": None, "arguments": []}
            if expect == "equal":
                tokenizer = AutoTokenizer.from_pretrained(str(base))
                with torch.no_grad():
                    row["logits"] = [model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in TEXTS]
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
