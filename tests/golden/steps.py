"""What golden cases of encoders and decoders share: the optimizer steps that graft's training must repeat, by torch's own
AdamW, and how far bfloat16 is from float32.

A case's case.json names them under "training": AdamW's values (weight_decay on matrices only, not on norms or biases), the
norm that gradients are clipped to, the learning rate, which is constant, and the sequences of each step's batch.
"""
import copy

import torch

STEPS = 20
TRAINING = {"optimizer": "adamw", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01,
            "max_grad_norm": 1.0, "batches": [[t % 5, (t + 2) % 5] for t in range(STEPS)]}


def train(model, mean_loss, seqs, lr):
    """step_losses [20], each of its batch before the update; step_grad_norms [20], before clipping; final_loss [1], of all
    sequences after the last update. mean_loss(model, sequences) is the loss over what is scored."""
    trained = [p for p in model.parameters() if p.requires_grad]
    t = TRAINING
    groups = [{"params": [p for p in trained if p.dim() > 1], "weight_decay": t["weight_decay"]},
              {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(t["beta1"], t["beta2"]), eps=t["eps"],
                                  foreach=False, fused=False)
    losses, norms = [], []
    for batch in t["batches"]:
        optimizer.zero_grad()
        loss = mean_loss(model, [seqs[i] for i in batch])
        loss.backward()
        losses.append(loss.detach())
        norms.append(torch.nn.utils.clip_grad_norm_(trained, t["max_grad_norm"]))
        optimizer.step()
    with torch.no_grad():
        final = mean_loss(model, seqs)
    return {"step_losses": torch.stack(losses), "step_grad_norms": torch.stack(norms), "final_loss": final.reshape(1)}


def proven(name, model, mean_loss, seqs, rates, most=1e-4):
    """train's result at the first of `rates` at which rounding alone moves no loss by `most`; that rate; and by how much it does.
    The model stays as it is."""
    for lr in rates:
        exact = train(copy.deepcopy(model).double(), mean_loss, seqs, lr)["step_losses"]
        result = train(copy.deepcopy(model), mean_loss, seqs, lr)
        rounding = ((result["step_losses"] - exact).abs() / exact.clamp_min(0.1)).max()
        if rounding < most:
            break
    else:
        raise RuntimeError(f"{name}: rounding alone moves the losses by {rounding}; lower the learning rate")
    with torch.no_grad():
        before = mean_loss(model, seqs)
    assert result["final_loss"] < 0.9 * before, f"{name}: it learned nothing: {before} to {result['final_loss']}"
    return result, lr, rounding


def bf16_error(model, logits_of):
    """[1]: how far the model's own bfloat16 logits are from its float32's, root mean square, in standard deviations of the
    latter. logits_of(model) is one tensor."""
    with torch.no_grad():
        wide = logits_of(model)
        narrow = logits_of(copy.deepcopy(model).bfloat16()).float()
    return ((narrow - wide).square().mean().sqrt() / wide.std()).reshape(1)
