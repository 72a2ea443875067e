"""What PEFT, AdapterHub and transformers make of adapter folders: the oracle of reference_test.py.

Usage: reference_oracle.py TASKS.json, in one of the two reference environments. A task is
  {"library": "peft" | "adapters" | "transformers", "action": "read" | "write", "family", "base", "folder", "texts",
   "labels", "config": {...}}
"read" loads the folder as a user of the library would; "write" makes an adapter with random, non-zero tensors and saves it;
"pipeline" gives transformers' pipeline() the folder and nothing else.
Prints one JSON line a task: its logits.
"""
import json
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
NAME = "oracle"
TRAINED = {"peft": ("lora_", "modules_to_save"), "adapters": (f".adapters.{NAME}.", f"heads.{NAME}.")}


def shake(model, library):
    """At their defaults B and the up projections are zero, and an adapter that is ignored would pass."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in sorted(model.named_parameters()):
        if any(part in name for part in TRAINED[library]):
            parameter.data = 0.15 * torch.randn(parameter.shape, generator=generator)


def plain_model(task):
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(task["base"], num_labels=len(task["labels"]))


def peft_model(task):
    import peft

    if task["action"] == "read":
        return peft.PeftModel.from_pretrained(plain_model(task), task["folder"])
    head = ["classifier"] if task["family"] == "bert" else ["classifier", "pre_classifier"]
    model = peft.get_peft_model(plain_model(task), peft.LoraConfig(
        modules_to_save=head, task_type="SEQ_CLS", **task["config"]))
    shake(model, "peft")
    model.save_pretrained(task["folder"])
    return model


def adapters_model(task):
    import adapters

    model = adapters.AutoAdapterModel.from_pretrained(task["base"])
    if task["action"] == "read":
        name = model.load_adapter(task["folder"], use_safetensors=True)
    else:
        name = NAME
        model.add_adapter(name, config=adapters.BnConfig(**task["config"]))
        labels = dict(enumerate(task["labels"]))
        if task["family"] == "bert":
            model.add_classification_head(name, num_labels=len(labels), layers=1, use_pooler=True, id2label=labels)
        else:
            model.add_classification_head(name, num_labels=len(labels), layers=2, activation_function="relu",
                                          id2label=labels)
        shake(model, "adapters")
        model.save_adapter(task["folder"], name, use_safetensors=True)
    model.set_active_adapters(name)
    model.active_head = name
    return model


def transformers_model(task):
    from safetensors.torch import load_file

    model = plain_model(task)
    unexpected = model.load_state_dict(load_file(task["folder"] + "/model.safetensors"), strict=False).unexpected_keys
    if unexpected:
        raise SystemExit(f"transformers knows no {unexpected}")
    return model


def pipeline_logits(task):
    """From nothing but the exported folder, cut at the length that it says."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=task["folder"])
    answers = classify(task["texts"], top_k=None, function_to_apply="none", truncation=True)
    scores = [{answer["label"]: answer["score"] for answer in row} for row in answers]
    return [[row[label] for label in task["labels"]] for row in scores]


def logits_of(model, tokenizer, texts):
    with torch.no_grad():
        return torch.stack([model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts])


def check_rounding(model, tokenizer, texts, logits):
    """Large adapters on every linear make the tiny model chaotic: fp32's rounding alone would move its logits by the
    test's tolerance, on one processor and not on another."""
    exact = logits_of(model.double(), tokenizer, texts)
    rounding = ((logits.double() - exact).abs().max() / exact.std()).item()
    if rounding > 2.5e-5:
        raise SystemExit(f"rounding moves this adapter's logits by {rounding:.1e} of their deviation: make it smaller")


def main():
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    make = {"peft": peft_model, "adapters": adapters_model, "transformers": transformers_model}
    with open(sys.argv[1], encoding="utf-8") as file:
        tasks = json.load(file)
    for task in tasks:
        if task["action"] == "pipeline":
            print(json.dumps(pipeline_logits(task)), flush=True)
            continue
        model = make[task["library"]](task).eval()
        tokenizer = AutoTokenizer.from_pretrained(task["base"])
        logits = logits_of(model, tokenizer, task["texts"])
        if task["action"] == "write":
            check_rounding(model, tokenizer, task["texts"], logits)
        print(json.dumps(logits.tolist()), flush=True)


if __name__ == "__main__":
    main()
