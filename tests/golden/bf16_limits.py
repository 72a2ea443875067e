#!/usr/bin/env python3
"""Where a decoder's distance in bf16 comes from: its logits with some of bf16's roundings alone, against fp32.

    HF_HUB_OFFLINE=1 oracle-peft/bin/python tests/golden/bf16_limits.py build/ci/smollm2/smollm2 tests/golden/smollm2/logits.json

The figure is the root mean square of the differences in standard deviations of the logits, over the first texts of the file; a third
argument says how many, 12 if it isn't there.
Everything but what a row names is computed in fp32.
"""
import copy
import json
import sys

import torch
import transformers

INTO_RESIDUAL = ("o_proj", "down_proj")
VARIANTS = {
    "inputs of products": {"outputs": None},
    "inputs and outputs of products": {"outputs": ()},
    "inputs and outputs of products, and the residual": {"outputs": (), "residual": True},
    "inputs, outputs but what is added to the residual": {"outputs": INTO_RESIDUAL},
    "inputs, outputs but that, gate and up": {"outputs": (*INTO_RESIDUAL, "gate_proj", "up_proj")},
    "inputs, outputs but that, query, key and value": {"outputs": (*INTO_RESIDUAL, "q_proj", "k_proj", "v_proj")},
}


def rounded(x):
    return x.bfloat16().to(x.dtype)


def add_hooks(model, outputs, residual=False):
    """Rounds as VARIANTS say; `outputs` names products whose outputs aren't rounded, None: none is."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            hooks.append(module.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),)))
            if outputs is not None and "lm_head" not in name and not name.endswith(outputs):
                hooks.append(module.register_forward_hook(lambda _, inputs, output: rounded(output)))
        if residual and name.startswith("model.layers.") and name.count(".") == 2:
            hooks.append(module.register_forward_hook(
                lambda _, inputs, output: rounded(output) if torch.is_tensor(output) else (rounded(output[0]), *output[1:])))
    return hooks


def main():
    folder, texts = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    with open(texts, encoding="utf-8") as file:
        rows = json.load(file)[:count]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

    def logits(of):
        with torch.no_grad():
            return torch.cat([of(torch.tensor([row["ids"]])).logits[0, row["positions"]].double() for row in rows])

    exact = logits(model)

    def tell(what, found):
        print(f"{what:60} {((found - exact).square().mean().sqrt() / exact.std()).item():.1e}", flush=True)

    tell("all of it (transformers' bf16)", logits(copy.deepcopy(model).bfloat16()))
    for what, variant in VARIANTS.items():
        hooks = add_hooks(model, **variant)
        tell(what, logits(model))
        for hook in hooks:
            hook.remove()


if __name__ == "__main__":
    main()
