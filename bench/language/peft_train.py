"""The peer's half of bench/language: LoRA on a causal language model with transformers and PEFT, in bfloat16, a plain loop
over the same token ids as graft's, without padding, for all texts are equally long. Prints one JSON line.

    python peft_train.py BASE DATA.csv --batch N --steps N [--warmup N] [--checkpointing] [--compile]
"""
import argparse
import csv
import json
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("data")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    words = {word.rstrip("\n"): i for i, word in enumerate(open(args.base + "/vocab.txt"))}
    rows = [[words["[CLS]"], *[words[w] for w in row["text"].split()], words["[SEP]"]]
            for row in csv.DictReader(open(args.data))]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ids = torch.tensor(rows, device=device)
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.bfloat16, attn_implementation="sdpa").to(device)
    model.config.use_cache = False
    model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, lora_dropout=0.0, task_type="CAUSAL_LM",
                                             target_modules=["q_proj", "v_proj"]))
    model.train()
    if args.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    forward = torch.compile(model) if args.compile else model
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, fused=device == "cuda")
    start, tokens = 0.0, 0
    for step in range(args.steps):
        if step == args.warmup:
            if device == "cuda":
                torch.cuda.synchronize()
            start, tokens = time.perf_counter(), 0
        begin = step * args.batch % (len(ids) - args.batch + 1)
        batch = ids[begin:begin + args.batch]
        loss = forward(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += batch.numel()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    print(json.dumps({"loss": loss.item(), "tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds,
                      "peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else 0}))


if __name__ == "__main__":
    main()
