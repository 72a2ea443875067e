"""scripts/convert_smollm2.py on a tiny GGUF file written here, and what it made of the real one that setup.sh brings.

Run by an environment that has numpy, safetensors and transformers.
Usage: convert_smollm2_test.py CONVERTER FOLDER (of the base smollm2)
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

CONVERTER, FOLDER = sys.argv[1:3]
LAYERS, HIDDEN, HEADS, KV_HEADS, MLP = 2, 64, 4, 2, 96
TOKENS = ["<end>", "<start>", "a", "b", "1", "2", "ab", "Ġ", "12"]
STRING, ARRAY, UINT, FLOAT, BOOL = 8, 9, 4, 6, 7


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(name, kind, value):
    if kind == STRING:
        return text(name) + struct.pack("<I", kind) + text(value)
    if kind == ARRAY:
        kind = STRING if isinstance(value[0], str) else UINT
        items = b"".join(text(v) if kind == STRING else struct.pack("<I", v) for v in value)
        return text(name) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return text(name) + struct.pack("<I" + {UINT: "I", FLOAT: "f", BOOL: "?"}[kind], kind, value)


FIELDS = [
    ("general.architecture", STRING, "llama"), ("general.license", STRING, "apache-2.0"),
    ("general.organization", STRING, "somebody"), ("llama.block_count", UINT, LAYERS),
    ("llama.context_length", UINT, 32), ("llama.embedding_length", UINT, HIDDEN),
    ("llama.feed_forward_length", UINT, MLP), ("llama.attention.head_count", UINT, HEADS),
    ("llama.attention.head_count_kv", UINT, KV_HEADS), ("llama.rope.freq_base", FLOAT, 5000.0),
    ("llama.attention.layer_norm_rms_epsilon", FLOAT, 1e-6), ("llama.vocab_size", UINT, len(TOKENS)),
    ("llama.rope.dimension_count", UINT, HIDDEN // HEADS), ("tokenizer.ggml.model", STRING, "gpt2"),
    ("tokenizer.ggml.pre", STRING, "smollm"), ("tokenizer.ggml.add_bos_token", BOOL, False),
    ("tokenizer.ggml.add_space_prefix", BOOL, False), ("tokenizer.ggml.tokens", ARRAY, TOKENS),
    ("tokenizer.ggml.token_type", ARRAY, [3, 3] + [1] * (len(TOKENS) - 2)),
    ("tokenizer.ggml.merges", ARRAY, ["a b", "1 2"]), ("tokenizer.ggml.bos_token_id", UINT, 1),
    ("tokenizer.ggml.eos_token_id", UINT, 0), ("tokenizer.ggml.unknown_token_id", UINT, 0),
    ("tokenizer.ggml.padding_token_id", UINT, 0), ("tokenizer.chat_template", STRING, "{{ messages[0]['content'] }}"),
]


def half(value):
    return np.float32(np.float16(value))


def stored(values, kind):
    """The bytes of a matrix in GGUF's `kind`, and by loops over their definition the values that they stand for."""
    if kind == 0:
        return values.tobytes(), values
    data, meant = b"", []
    for block in values.reshape(-1, 32):
        if kind == 8:
            scale = half(np.abs(block).max() / 127)
            quants = np.clip(np.rint(block / scale), -127, 127).astype(np.int8)
            data += struct.pack("<e", scale) + quants.tobytes()
            meant += [np.float32(q) * scale for q in quants]
        else:
            low, scale = half(block.min()), half((block.max() - block.min()) / 15)
            quants = np.clip(np.rint((block - low) / scale), 0, 15).astype(np.uint8)
            data += struct.pack("<ee", scale, low) + bytes(quants[i] | quants[i + 16] << 4 for i in range(16))
            meant += [np.float32(np.float32(q) * scale) + low for q in quants]
    return data, np.array(meant, np.float32).reshape(values.shape)


def interleaved(weight, heads):
    """Row 2j of a head is row j of its first half, row 2j+1 that of its second."""
    size = weight.shape[0] // heads
    order = [h * size + (j % 2) * (size // 2) + j // 2 for h in range(heads) for j in range(size)]
    return weight[order]


def write_gguf(path, fields=FIELDS, kinds=(3, 8), extra=()):
    """A llama of random weights. Returns what its tensors are to be, by transformers' names."""
    random = np.random.default_rng(5)
    kv = HIDDEN // HEADS * KV_HEADS
    shapes = {"token_embd": (len(TOKENS), HIDDEN, "model.embed_tokens"), "output_norm": (HIDDEN, "model.norm")}
    for i in range(LAYERS):
        shapes.update({f"blk.{i}.{name}": (*shape, f"model.layers.{i}.{own}") for name, own, *shape in (
            ("attn_q", "self_attn.q_proj", HIDDEN, HIDDEN), ("attn_k", "self_attn.k_proj", kv, HIDDEN),
            ("attn_v", "self_attn.v_proj", kv, HIDDEN), ("attn_output", "self_attn.o_proj", HIDDEN, HIDDEN),
            ("ffn_gate", "mlp.gate_proj", MLP, HIDDEN), ("ffn_up", "mlp.up_proj", MLP, HIDDEN),
            ("ffn_down", "mlp.down_proj", HIDDEN, MLP), ("attn_norm", "input_layernorm", HIDDEN),
            ("ffn_norm", "post_attention_layernorm", HIDDEN))})
    wanted, infos, blob = {}, b"", b""
    for name, (*shape, own) in shapes.items():
        kind = 0 if len(shape) == 1 else kinds[len(wanted) % len(kinds)]
        values = random.normal(size=shape).astype(np.float32)
        data, wanted[own + ".weight"] = stored(values, kind)
        # The rows are quantised one by one, so a permuted matrix is stored as its permuted bytes.
        for part, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS)):
            if part in name:
                rows = np.frombuffer(data, np.uint8).reshape(shape[0], -1)
                data = interleaved(rows, heads).tobytes()
        blob += b"\0" * (-len(blob) % 32)
        infos += text(name + ".weight") + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", n) for n in reversed(shape)) + struct.pack("<IQ", kind, len(blob))
        blob += data
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes) + len(extra), len(fields))
    head += b"".join(field(*f) for f in fields) + infos + b"".join(extra)
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32) + blob)
    return wanted


class ConvertTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.gguf, self.out = os.path.join(self.folder, "x.gguf"), os.path.join(self.folder, "out")

    def convert(self, *options):
        return subprocess.run([sys.executable, CONVERTER, self.gguf, self.out, *options], capture_output=True, text=True,
                              check=False)

    def expect_refused(self, part, *options):
        done = self.convert(*options)
        self.assertEqual(1, done.returncode, done)
        self.assertIn(part, done.stderr)
        self.assertEqual(1, done.stderr.count("\n"), done.stderr)
        self.assertEqual(["x.gguf"], os.listdir(self.folder))

    def test_float32_holds_the_exact_values(self):
        wanted = write_gguf(self.gguf)
        self.assertEqual(0, self.convert("--dtype", "float32").returncode)
        path = os.path.join(self.out, "model.safetensors")
        found = load_file(path)
        self.assertEqual(sorted(wanted), sorted(found))
        for name, values in wanted.items():
            np.testing.assert_array_equal(values, found[name], name)
        save_file(found, path + ".again", metadata={"format": "pt"})
        with open(path, "rb") as file, open(path + ".again", "rb") as again:
            self.assertEqual(again.read(), file.read())
        with open(os.path.join(self.out, "config.json")) as file:
            config = json.load(file)
        self.assertEqual((1e-6, 5000.0, True), tuple(config[k] for k in ("rms_norm_eps", "rope_theta", "tie_word_embeddings")))

    def test_bfloat16_is_the_nearest(self):
        wanted = write_gguf(self.gguf)
        self.assertEqual(0, self.convert().returncode)
        import torch
        from safetensors.torch import load_file as load_torch
        found = load_torch(os.path.join(self.out, "model.safetensors"))
        for name, values in wanted.items():
            self.assertTrue(torch.equal(torch.from_numpy(values).to(torch.bfloat16), found[name]), name)

    def test_refuses_what_it_was_not_written_for(self):
        write_gguf(self.gguf)
        self.expect_refused("the SHA-256 of model.safetensors is", "--sha256", "0" * 64)
        with open(self.gguf, "r+b") as file:
            file.truncate(os.path.getsize(self.gguf) - 1)
        self.expect_refused("cut short")
        with open(self.gguf, "r+b") as file:
            file.truncate(100)
        self.expect_refused("cut short")
        with open(self.gguf, "wb") as file:
            file.write(b"PK\3\4")
        self.expect_refused("is no GGUF file")
        write_gguf(self.gguf, FIELDS + [("llama.rope.scaling.factor", FLOAT, 4.0)])
        self.expect_refused("not those of SmolLM2: rope.scaling.factor")
        write_gguf(self.gguf, [("general.architecture", STRING, "qwen2")] + FIELDS[1:])
        self.expect_refused("'qwen2', not 'llama'")
        write_gguf(self.gguf, [f if f[0] != "tokenizer.ggml.pre" else (*f[:2], "llama-bpe") for f in FIELDS])
        self.expect_refused("tokenizer is not SmolLM2's")
        write_gguf(self.gguf, extra=[text("rope_freqs.weight") + struct.pack("<IQIQ", 1, 8, 0, 0)])
        self.expect_refused("rope_freqs.weight has no place")
        write_gguf(self.gguf, extra=[text("blk.0.attn_q.bias") + struct.pack("<IQIQ", 1, 8, 0, 0)])
        self.expect_refused("blk.0.attn_q.bias has no place")
        write_gguf(self.gguf, extra=[text("output.weight") + struct.pack("<IQQIQ", 2, 32, 1, 2, 0)])
        self.expect_refused("GGUF's type 2;")

    def test_leaves_a_folder_that_is_there_alone(self):
        write_gguf(self.gguf)
        os.mkdir(self.out)
        self.assertIn("is there already", self.convert().stderr)
        self.assertEqual([], os.listdir(self.out))


class RealModelTest(unittest.TestCase):
    """The base smollm2 as transformers reads it."""

    @classmethod
    def setUpClass(cls):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

        torch.set_num_threads(1)
        cls.tokenizer = PreTrainedTokenizerFast.from_pretrained(FOLDER)
        cls.by_auto = AutoTokenizer.from_pretrained(FOLDER)
        cls.model = AutoModelForCausalLM.from_pretrained(FOLDER).eval()

    def test_digits_stand_alone(self):
        for tokenizer in (self.tokenizer, self.by_auto):
            self.assertEqual(["a", "ĠĠ", "2", "Ġb", "Ġ", "1", "2", "3", "4"], tokenizer.tokenize("a  2 b 1234"))
            self.assertEqual(["ĊĠĠĠĠ", "3", "Ċ"], tokenizer.tokenize("\n    3\n"))

    def test_special_tokens(self):
        ids = self.tokenizer("<|im_start|>user\nhi<|im_end|>")["input_ids"]
        self.assertEqual((1, 2), (ids[0], ids[-1]))
        self.assertEqual((1, 2, 2), tuple(getattr(self.model.generation_config, f"{n}_token_id") for n in ("bos", "eos", "pad")))

    def test_answers(self):
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        prompt = self.by_auto.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        self.assertEqual("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
                         "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n", prompt)
        inputs = self.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        found = self.model.generate(**inputs, do_sample=False, max_new_tokens=12)[0][inputs["input_ids"].shape[1]:]
        self.assertEqual("The capital of France is Paris.<|im_end|>", self.tokenizer.decode(found))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
