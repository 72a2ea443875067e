#!/usr/bin/env python3
"""A LoRA of the base smollm2 whose every weight is a formula, so that a test can make it again bit for bit in any language.

r = 8, alpha = 16 (scaling 2) on q_proj and v_proj of all 30 layers; strong enough that most answers change, weak enough that
they stay sentences. As files it is 1.8 MB, too much to carry. The element i (row-major) of tensor t is

    z = 2^32 t + i + 1                                    all of it modulo 2^64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9                the finalizer of splitmix64
    z = (z ^ z >> 27) * 0x94D049BB133111EB
    z = z ^ z >> 31
    value = (float(z >> 40) - 2^23) * 2^-23 * scale       exact in float32

with t = 4 layer + 2 (0 for q_proj, 1 for v_proj) + (0 for A, 1 for B); scale is 2^-4 for A [8, in], 2^-2 for B [out, 8]. The
first value of all is -0.020229175686836243, the first of layer 29's v_proj B -0.00979873538017273.

Usage: smollm2_lora.py OUT    writes PEFT's folder: adapter_config.json and adapter_model.safetensors
"""
import hashlib
import json
import os
import sys

import numpy as np

LAYERS, RANK, ALPHA, HIDDEN = 30, 8, 16, 576
TARGETS = {"q_proj": 576, "v_proj": 192}  # their outputs
SCALES = {"A": 2.0**-4, "B": 2.0**-2}
SHA256 = "ead301534b30bd1bd0417b41ca4a11d88f72be68c748b9bdf67b71e565d1bc5e"  # of adapter_model.safetensors


def values(tensor, shape, scale):
    z = np.arange(1, 1 + int(np.prod(shape)), dtype=np.uint64) + np.uint64(tensor << 32)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z = z ^ z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) - np.float32(2**23)).reshape(shape) * np.float32(2.0**-23 * scale)


def tensors():
    result = {}
    for layer in range(LAYERS):
        for target, (module, outputs) in enumerate(TARGETS.items()):
            for matrix, (letter, shape) in enumerate((("A", (RANK, HIDDEN)), ("B", (outputs, RANK)))):
                name = f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_{letter}.weight"
                result[name] = values(4 * layer + 2 * target + matrix, shape, SCALES[letter])
    return result


def write(folder):
    from safetensors.numpy import save_file

    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "adapter_model.safetensors")
    save_file(tensors(), path, metadata={"format": "pt"})
    with open(path, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == SHA256, "these are not the weights of the reference answers"
    with open(os.path.join(folder, "adapter_config.json"), "w") as file:
        json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "smollm2", "r": RANK,
                   "lora_alpha": ALPHA, "lora_dropout": 0.0, "target_modules": list(TARGETS), "bias": "none",
                   "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True, "modules_to_save": None,
                   "rank_pattern": {}, "alpha_pattern": {}, "use_dora": False, "use_rslora": False}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    write(sys.argv[1])
