"""Conversations for the peers' halves of bench/training and bench/quality: token ids, which tokens carry loss, and batches.

A conversation is a list of messages; what carries loss are its answers, with all that the template puts behind them.
"""
import json

import torch

NO_LOSS = -100


def load_tokenizer(folder):
    from transformers import PreTrainedTokenizerFast
    return PreTrainedTokenizerFast.from_pretrained(folder)


def read_conversations(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["messages"] for line in lines]


def encode(tokenizer, messages, max_length):
    """Ids, and labels that are the ids where there is loss. Answers are found by rendering the conversation as far as each."""
    def ids(upto, **more):
        return tokenizer.apply_chat_template(messages[:upto], tokenize=True, return_dict=True, **more)["input_ids"]

    whole = ids(len(messages))
    labels = [NO_LOSS] * len(whole)
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        begin, end = len(ids(i, add_generation_prompt=True)), len(ids(i + 1))
        labels[begin:end] = whole[begin:end]
    return {"input_ids": whole[:max_length], "labels": labels[:max_length]}


def padded(examples, pad, left=False):
    """Batches as every trainer makes them: all as long as the longest."""
    longest = max(len(example["input_ids"]) for example in examples)

    def rows(key, fill):
        gaps = [[fill] * (longest - len(example[key])) for example in examples]
        return torch.tensor([gap + e[key] if left else e[key] + gap for gap, e in zip(gaps, examples)])

    ones = [{"mask": [1] * len(example["input_ids"])} for example in examples]
    mask = torch.tensor([[0] * (longest - len(o["mask"])) + o["mask"] if left else o["mask"] + [0] * (longest - len(o["mask"]))
                         for o in ones])
    return {"input_ids": rows("input_ids", pad), "attention_mask": mask, "labels": rows("labels", NO_LOSS)}


def kept(examples, pad):
    """The same, padded in front, with logits from the first token that carries loss on."""
    batch = padded(examples, pad, left=True)
    first = int((batch["labels"] != NO_LOSS).any(0).nonzero()[0])
    keep = batch["labels"].shape[1] - first + 1  # The token before predicts the first.
    batch["labels"] = batch["labels"][:, -keep:]
    batch["logits_to_keep"] = keep
    return batch


def packed(examples, pad):
    """No padding: one row, in which positions begin anew with each example, and logits where there is loss alone."""
    del pad
    ids = [token for example in examples for token in example["input_ids"]]
    positions = [i for example in examples for i in range(len(example["input_ids"]))]
    next_labels = [label for example in examples for label in [*example["labels"][1:], NO_LOSS]]
    rows = [i for i, label in enumerate(next_labels) if label != NO_LOSS]
    targets = torch.tensor([[next_labels[i] for i in rows]])
    return {"input_ids": torch.tensor([ids]), "position_ids": torch.tensor([positions]), "logits_to_keep": torch.tensor(rows),
            "labels": targets, "shift_labels": targets}


BATCHES = {"padded": padded, "kept": kept, "packed": packed}
