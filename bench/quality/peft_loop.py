"""The peer's half of bench/quality: PEFT's LoRA in a plain PyTorch loop.

Usage: peft_loop.py TASK.json, in the environment that scripts/setup.sh makes for the tests. The task:
  {"base": folder, "train": [[text, class], ...], "test": [...], "labels": N, "seed": N, "threads": N, "device": "cpu" or "cuda:N",
   "start": folder of a version whose tensors are the initial values, or null: own draws,
   "batches": [[indices], ...] of each step, or null: own permutations,
   "epochs", "batch", "rate", "rank", "alpha", "max_length"}
Prints one JSON line: loss and accuracy on the test data, and the seconds of training.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

import loop  # noqa: E402

logging.set_verbosity_error()
with open(sys.argv[1], encoding="utf-8") as file:
    task = json.load(file)
torch.set_num_threads(task["threads"])
torch.manual_seed(task["seed"])
tokenizer = AutoTokenizer.from_pretrained(task["base"])
model = AutoModelForSequenceClassification.from_pretrained(
    task["base"], num_labels=task["labels"], dtype=torch.float32, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0)
if task["start"]:
    model = PeftModel.from_pretrained(model, task["start"], is_trainable=True)
else:
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=task["rank"], lora_alpha=task["alpha"],
                                             target_modules=["query", "value"]))
model.to(task["device"])


def encode(rows):
    return [(tokenizer(text, truncation=True, max_length=task["max_length"])["input_ids"], label) for text, label in rows]


def logits(examples):
    batch = tokenizer.pad({"input_ids": [ids for ids, _ in examples]}, return_tensors="pt").to(task["device"])
    return model(**batch).logits


def loss_of(examples, reduction):
    labels = torch.tensor([label for _, label in examples], device=task["device"])
    scores = logits(examples)
    return torch.nn.functional.cross_entropy(scores, labels, reduction=reduction), (scores.argmax(1) == labels).sum()


train, test = encode(task["train"]), encode(task["test"])
seconds = loop.train(model, task, len(train), lambda batch: loss_of([train[i] for i in batch], "mean")[0])

model.eval()
total, right = 0.0, 0
test.sort(key=lambda example: len(example[0]))
with torch.no_grad():
    for i in range(0, len(test), 64):
        loss, correct = loss_of(test[i:i + 64], "sum")
        total, right = total + loss.item(), right + correct.item()
print(json.dumps({"loss": total / len(test), "accuracy": right / len(test), "seconds": seconds}))
