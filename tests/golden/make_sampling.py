"""Makes the golden cases of sampling: next-token probabilities by transformers' own processors, as `generate` builds them.

Run with the oracle environment (see scripts/versions.sh for its versions); the same run makes the same bytes:
    oracle-peft/bin/python tests/golden/make_sampling.py tests/golden/data/sampling

OUT/cases.json              per case: row of logits, prompt and generated tokens, settings (what is absent is unset)
OUT/tables.safetensors      logits [R, V]; of case i the tokens that have a probability, and it, are
                            tokens/probabilities[offsets[i]:offsets[i+1]]

transformers has neither presence nor frequency penalty. They are OpenAI's formula here, given to `generate`'s list as a
processor of the caller's, so that they stand where it puts one. Which of several equal scores top_p keeps is chance there
(torch.sort isn't stable), and depends on the processor: as many are kept here, those with the lowest numbers.
"""
import json
import os
import random
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers.generation import LogitsProcessor, LogitsProcessorList, TopPLogitsWarper

VOCAB = 331  # Five blocks of 64 and a part of one.
CASES = 240


class CountPenalties(LogitsProcessor):
    def __init__(self, frequency, presence, prompt_length):
        self.frequency, self.presence, self.prompt_length = frequency, presence, prompt_length

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        generated = [t for t in input_ids[0, self.prompt_length:].tolist() if t < scores.shape[-1]]
        for token in sorted(set(generated)):
            scores[0, token] -= self.frequency * generated.count(token)
            scores[0, token] -= self.presence
        return scores


def logits_rows():
    g = torch.Generator().manual_seed(20)
    normal = lambda scale: torch.randn(VOCAB, generator=g) * scale
    rows = [normal(1), normal(3), normal(8), normal(3).bfloat16().float()]
    rows.append((normal(2) * 2).round() / 2)              # Many ties.
    rows.append(torch.full((VOCAB,), 1.25))               # All alike.
    rows.append(-normal(3).abs() - 2)                     # All below 0.
    rows.append(normal(40))                               # Peaked, past what exp holds.
    barred = normal(2)
    barred[torch.rand(VOCAB, generator=g) < 0.5] = -float("inf")
    rows.append(barred)
    peaked = normal(1)
    peaked[77] = 25.0
    rows.append(peaked)
    zipf = -1.1 * torch.log(torch.arange(1, VOCAB + 1).float())
    rows.append(zipf[torch.randperm(VOCAB, generator=g)])
    return torch.stack(rows)


def settings_of(rng):
    """Each setting in some of the cases, at its usual values and at its ends."""
    s = {}
    maybe = lambda name, share, values: s.update({name: rng.choice(values)}) if rng.random() < share else None
    maybe("temperature", 0.7, [0.0, 0.05, 0.3, 0.7, 0.7, 1.0, 1.3, 2.0, 10.0])
    maybe("top_k", 0.5, [0, 1, 2, 5, 6, 7, 20, 50, 300, 331, 1000])
    maybe("top_p", 0.5, [0.0, 0.1, 0.5, 0.9, 0.9, 0.95, 0.999, 1.0])
    maybe("min_p", 0.3, [0.0, 0.02, 0.1, 0.5, 1.0])
    maybe("repetition_penalty", 0.4, [0.7, 1.0, 1.1, 1.3, 2.0])
    maybe("presence_penalty", 0.3, [-1.0, 0.5, 2.0])
    maybe("frequency_penalty", 0.3, [-0.5, 0.25, 1.5])
    maybe("min_tokens", 0.2, [0, 3, 100])
    if rng.random() < 0.2:
        s["logit_bias"] = [[t, rng.choice([-100.0, -3.0, 2.5, 5.0])] for t in rng.sample(range(VOCAB), 6)]
    return s


def history_of(rng, row):
    """Prompt and generated tokens, with repeats, some among the likeliest, some that have no logit."""
    likely = torch.topk(row, 12).indices.tolist()
    def pick(n):
        return [rng.choice(likely) if rng.random() < 0.4 else rng.randrange(VOCAB + 5) for _ in range(n)]
    return pick(rng.choice([1, 3, 20])), pick(rng.choice([0, 1, 5, 30]))


def processors(model, s, prompt, end_tokens):
    sampled = s.get("temperature", 1.0) != 0.0
    config = transformers.GenerationConfig(
        do_sample=sampled, num_beams=1, eos_token_id=end_tokens, pad_token_id=0,
        repetition_penalty=s.get("repetition_penalty", 1.0), min_new_tokens=s.get("min_tokens"),
        sequence_bias=[[[t], b] for t, b in s["logit_bias"]] if "logit_bias" in s else None,
        **(dict(temperature=s.get("temperature", 1.0), top_k=s.get("top_k", 0), top_p=s.get("top_p", 1.0),
                min_p=s.get("min_p")) if sampled else {}))
    model._prepare_special_tokens(config, device="cpu")
    own = LogitsProcessorList([CountPenalties(s.get("frequency_penalty", 0.0), s.get("presence_penalty", 0.0), len(prompt))])
    return sampled, model._get_logits_processor(config, input_ids_seq_length=len(prompt), logits_processor=own,
                                                device="cpu", model_kwargs={})


def run(list_of, input_ids, scores):
    for processor in list_of:
        before, scores = scores, processor(input_ids, scores)
        if isinstance(processor, TopPLogitsWarper):
            kept = scores > -float("inf")
            equal = (before == before[kept].min())[0].nonzero()[:, 0]
            count = int(kept[0, equal].sum())
            scores[0, equal[:count]] = before[0, equal[0]]
            scores[0, equal[count:]] = -float("inf")
    return scores


def main(out):
    rng = random.Random(5)
    rows = logits_rows()
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=VOCAB, n_layer=1, n_head=1, n_embd=8))
    cases, offsets, tokens, probabilities = [], [0], [], []
    for i in range(CASES):
        row = rows[i % len(rows)]
        s = settings_of(rng)
        prompt, generated = history_of(rng, row)
        end_tokens = rng.sample(torch.topk(row, 5).indices.tolist(), 2)
        sampled, list_of = processors(model, s, prompt, end_tokens)
        scores = run(list_of, torch.tensor([prompt + generated]), row[None].clone())
        if sampled:
            p = torch.softmax(scores, dim=-1)[0]
        else:
            p = torch.zeros(VOCAB)
            p[int((scores[0] == scores.max()).nonzero()[0])] = 1.0
        kept = (p > 0).nonzero()[:, 0]
        tokens.append(kept.int())
        probabilities.append(p[kept])
        offsets.append(offsets[-1] + len(kept))
        cases.append(dict(row=i % len(rows), prompt=prompt, generated=generated, end_tokens=end_tokens, settings=s))
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "cases.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, sort_keys=True) for c in cases) + "\n]\n")
    save_file({"logits": rows, "offsets": torch.tensor(offsets, dtype=torch.int32), "tokens": torch.cat(tokens),
               "probabilities": torch.cat(probabilities)}, os.path.join(out, "tables.safetensors"))


if __name__ == "__main__":
    main(sys.argv[1])
