"""What transformers makes of folders of whole language models and their classifiers: the oracle of whole_models_test.py.

Usage: whole_models_oracle.py TASKS.json, in an environment with version 4 or 5. A task is {"folder", "ids": lists of token ids,
"classifies"}. Prints one JSON line a task: {"version", "logits": rows of each text, one a position or a classifier's one,
"bos", "end", "pad": the tokens that generating begins, ends and pads with, "labels"}.
"""
import json
import sys
import warnings

import torch
import transformers
from transformers.utils import logging

warnings.filterwarnings("ignore")


def answer(task):
    kind = transformers.AutoModelForSequenceClassification if task["classifies"] else transformers.AutoModelForCausalLM
    model, told = kind.from_pretrained(task["folder"], dtype=torch.float32, output_loading_info=True)
    assert not any(told.values()), f"{task['folder']}: {told}"
    model.eval()
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits for ids in task["ids"]]
    # A classifier generates nothing, and finds a text's end by its padding.
    says = model.config if task["classifies"] else model.generation_config
    labels = [model.config.id2label[i] for i in range(len(model.config.id2label))] if task["classifies"] else None
    return {"version": transformers.__version__, "logits": [(row[0] if row.dim() == 3 else row).tolist() for row in logits],
            "bos": says.bos_token_id, "end": says.eos_token_id, "pad": says.pad_token_id, "labels": labels}


def main():
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:
        tasks = json.load(file)
    for task in tasks:
        print(json.dumps(answer(task)), flush=True)


if __name__ == "__main__":
    main()
