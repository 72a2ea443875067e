"""A plain training loop of PyTorch over PEFT, AdapterHub and transformers: the oracle of training_test.py.

Usage: training_oracle.py TASKS.json, in one of the two reference environments. A task is
  {"library": "peft" | "adapters" | "transformers", "base", "start", "out", "labels", "texts": [...], "targets": [...],
   "batches": [[indices of texts], ...], "learning_rate", "asked": [...]}
`start` is a folder that graft exported: the initial values; with "jitter": true each moves by its last bit, up or down. One optimizer step a batch: mean cross entropy, clipping at 1,
AdamW without decay, a linear schedule without warm-up, no dropout, fp32. Writes the trained tensors to `out`, under the
keys that graft's files have, and prints one JSON line a task: {"losses": of each step, "logits": of the texts in `asked`}.
"""
import json
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")


def plain_model(task):
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(task["base"], num_labels=len(task["labels"]))


def peft_model(task):
    import peft

    model = peft.PeftModel.from_pretrained(plain_model(task), task["start"], is_trainable=True)
    return model, lambda: peft.get_peft_model_state_dict(model)


def adapters_model(task):
    import adapters

    model = adapters.AutoAdapterModel.from_pretrained(task["base"])
    name = model.load_adapter(task["start"], use_safetensors=True)
    model.train_adapter(name)
    model.active_head = name
    overrides = Path(task["start"]) / "base_overrides.safetensors"
    if overrides.exists():
        unfrozen = load_file(overrides)
        assert not model.load_state_dict(unfrozen, strict=False).unexpected_keys
        for key, parameter in model.named_parameters():
            parameter.requires_grad |= key in unfrozen

    def trained():
        # The names of the folder's files, some of which leave the model's prefix out.
        state, wanted = model.state_dict(), {}
        for file in Path(task["start"]).glob("*.safetensors"):
            wanted.update({key: state[key] for key in load_file(file)})
        return wanted
    return model, trained


def transformers_model(task):
    model = plain_model(task)
    start = load_file(task["start"] + "/model.safetensors")
    assert not model.load_state_dict(start, strict=False).unexpected_keys
    for key, parameter in model.named_parameters():
        parameter.requires_grad = key in start
    return model, lambda: {key: model.state_dict()[key] for key in start}


def logits_of(model, tokenizer, texts):
    return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


def train(model, tokenizer, task):
    """The loss of each step. The model stays in evaluation mode: that is what switches its dropout off."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if task.get("jitter"):
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in trained:
                parameter.mul_(1 + torch.finfo(torch.float32).eps * (2 * torch.randint(0, 2, parameter.shape) - 1))
    optimizer = torch.optim.AdamW(trained, lr=task["learning_rate"], weight_decay=0)
    steps = len(task["batches"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0, (steps - step) / steps))
    losses = []
    for batch in task["batches"]:
        logits = logits_of(model, tokenizer, [task["texts"][i] for i in batch])
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([task["targets"][i] for i in batch]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main():
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    make = {"peft": peft_model, "adapters": adapters_model, "transformers": transformers_model}
    with open(sys.argv[1], encoding="utf-8") as file:
        tasks = json.load(file)
    for task in tasks:
        model, trained = make[task["library"]](task)
        model.eval()
        tokenizer = AutoTokenizer.from_pretrained(task["base"])
        losses = train(model, tokenizer, task)
        save_file({key: value.detach().clone().contiguous() for key, value in trained().items()}, task["out"])
        with torch.no_grad():
            logits = torch.cat([logits_of(model, tokenizer, [text]) for text in task["asked"]])
        print(json.dumps({"losses": losses, "logits": logits.tolist()}), flush=True)


if __name__ == "__main__":
    main()
