"""The plain PyTorch loop in which bench/quality's peers train: AdamW without decay, a linear schedule without warm-up, clipping at 1."""
import time

import torch


def own_batches(task, count):
    """Of each epoch a permutation, by torch's generator."""
    result = []
    for _ in range(task["epochs"]):
        order = torch.randperm(count).tolist()
        result += [order[i:i + task["batch"]] for i in range(0, count, task["batch"])]
    return result


def train(model, task, count, loss_of):
    """Steps through the task's batches of `count` examples, or through own ones; returns the seconds that it took.
    loss_of(indices): the mean loss of a batch."""
    batches = task["batches"] or own_batches(task, count)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=task["rate"], weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0, (len(batches) - step) / len(batches)))
    begin = time.perf_counter()
    model.train()
    for batch in batches:
        loss_of(batch).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return time.perf_counter() - begin
