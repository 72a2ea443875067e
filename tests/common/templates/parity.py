"""Compares graft's chat templates with transformers' and TRL's.

    oracle-peft/bin/python parity.py RENDER_LINES trl BASE_FOLDER
    oracle-peft/bin/python parity.py RENDER_LINES collection FOLDER

"trl" takes the templates that TRL carries, original and with {% generation %}, and compares rendered texts, what the marks
make of 1,000 conversations, which tokens of BASE_FOLDER's tokenizer then carry TRL's assistant_only_loss, and which files of
a folder count. "collection" renders FOLDER's *.jinja, the templates of 71 models. Exits 1 with the first differences, or if
there was less to compare than stated below.
"""
import collections
import datetime
import glob
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

import tokenizers
import transformers.utils.chat_template_utils as reference
import trl
from transformers import AutoTokenizer

from conversations import conversations

LEAST_TRL_TEMPLATES = 72
LEAST_MARKED = 34
COLLECTION_SIZE = 71
NUM_CONVERSATIONS = 240
NUM_MARKED_CONVERSATIONS = 1000
LEAST_SHARE_RENDERED = 0.75  # The rest is what a template itself refuses, such as roles that don't alternate.
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
NOW = datetime.datetime(2024, 7, 26, 15, 4, 5)
SECONDS = int((NOW - datetime.datetime(1970, 1, 1)).total_seconds())


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(tool, lines):
    done = subprocess.run([tool], input="\n".join(map(json.dumps, lines)).encode() + b"\n", capture_output=True, check=False)
    answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    if done.returncode != 0 or len(answers) != len(lines):
        sys.exit(f"{len(answers)} answers to {len(lines)} lines, exit code {done.returncode}: {done.stderr.decode()[:500]}")
    return answers


def expected(template, case):
    """transformers' text and what is marked in it, in bytes; or None and the error."""
    messages = [{k: v for k, v in m.items() if v is not None} for m in case["messages"]]  # As apply_chat_template does.
    try:
        texts, marked = reference.render_jinja_template(
            [messages], tools=case["tools"], chat_template=template, return_assistant_tokens_mask=True,
            add_generation_prompt=case["add_generation_prompt"], **{**TOKENS, **case["variables"]})
    except Exception as error:  # Templates fail in any way that Python code can.
        return None, f"{type(error).__name__}: {error}"
    text = texts[0]
    return (text, [[len(text[:a].encode()), len(text[:b].encode())] for a, b in marked[0]]), None


def joined(ranges):
    """Without empty ranges, those that touch made one: the same bytes."""
    out = []
    for begin, end in ranges:
        if out and out[-1][1] == begin:
            out[-1][1] = end
        elif begin != end:
            out.append([begin, end])
    return out


def compare(tool, paths, cases, turns):
    """Renders all cases with each template; counts how the answers compare, and shows the first that differ."""
    counts = collections.Counter()
    for path in paths:
        template = read(path)
        given = {"file": path, "special_tokens": TOKENS, "now": SECONDS, "turns": turns}
        for case, answer in zip(cases, run(tool, [{**given, **case} for case in cases])):
            wanted, error = expected(template, case)
            if wanted is not None and turns:
                wanted = (wanted[0], joined(wanted[1]))
            actual = (answer.get("text"), answer.get("loss" if turns else "generated"))
            kind = "equal" if wanted == actual else "different"
            if "error" in answer:
                kind = "refused by both" if wanted is None else "refused by graft alone"
            counts[kind] += 1
            if kind in ("different", "refused by graft alone") and counts[kind] <= 5:
                print(kind, os.path.basename(path), ascii(case)[:400], "\n  graft:   ", ascii(answer)[:800],
                      "\n  expected:", ascii(wanted or error)[:800])
    share = counts["equal"] / counts.total()
    print(f"{len(paths)} templates, {len(cases)} conversations{', turns' if turns else ''}: {dict(counts)}")
    return counts["different"] == 0 and counts["refused by graft alone"] == 0 and share >= LEAST_SHARE_RENDERED


def compare_masks(tool, base, path, cases):
    """The mask of apply_chat_template, which TRL takes, against the tokens that have a byte in graft's ranges."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    counts = collections.Counter()
    given = {"file": path, "special_tokens": tokenizer.special_tokens_map, "turns": True}
    for case, answer in zip(cases, run(tool, [{**given, **case} for case in cases])):
        try:
            wanted = tokenizer.apply_chat_template(
                case["messages"], tools=case["tools"], chat_template=read(path), tokenize=True, return_dict=True,
                return_assistant_tokens_mask=True, **case["variables"])
        except Exception:  # See expected().
            counts["refused by both" if "error" in answer else "different"] += 1
            continue
        text = answer.get("text", "")
        bytes_before = list(itertools.accumulate((len(character.encode()) for character in text), initial=0))
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        mask = [int(any(bytes_before[begin] < last and bytes_before[end] > first for first, last in answer.get("loss", [])))
                for begin, end in encoded["offset_mapping"]]
        is_equal = [encoded["input_ids"], mask] == [wanted["input_ids"], wanted["assistant_masks"]]
        counts["equal" if is_equal else "different"] += 1
    print(f"masks of {len(cases)} conversations: {dict(counts)}")
    return counts["different"] == 0 and counts["equal"] >= LEAST_SHARE_RENDERED * len(cases)


def folders():
    """Files of folders, by what they say of templates and tokens."""
    names = {"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False, "rstrip": False,
                                               "single_word": False, "normalized": False, "special": True}}
    listed = [{"name": "default", "template": "list"}, {"name": "tool_use", "template": "list tools"}]
    more = {"additional_chat_templates/tool_use.jinja": "file tools", "additional_chat_templates/rag.jinja": "rag"}
    yield {**names, "chat_template": "config"}, {}
    yield {**names, "chat_template": listed}, {}
    yield {**names, "chat_template": "config"}, {"chat_template.jinja": "file\n"}
    yield {**names, "chat_template": listed}, {"chat_template.jinja": "file"}
    yield {**names, "chat_template": "config"}, {"chat_template.jinja": "file", **more}
    yield {**names, "chat_template": "config"}, more
    yield {**names, "pad_token": None, "image_token": "<image>", "extra_special_tokens": {"boi_token": "<boi>"},
           "chat_template": "config"}, {}
    yield {"bos_token": "<s>", "chat_template": "config"}, {
        "special_tokens_map.json": '{"bos_token": "<a>", "eos_token": "</s>"}'}
    yield {"bos_token": "<s>", "added_tokens_decoder": {}, "chat_template": "config"}, {
        "special_tokens_map.json": '{"bos_token": "<a>"}'}
    yield names, {}


def compare_folders(tool):
    """Which template and tokens transformers takes of each folder, and graft."""
    count = 0
    for config, files in folders():
        with tempfile.TemporaryDirectory() as folder:
            vocabulary = tokenizers.models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>")
            tokenizers.Tokenizer(vocabulary).save(os.path.join(folder, "tokenizer.json"))
            config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
            for name, text in {**files, "tokenizer_config.json": json.dumps(config)}.items():
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            theirs = AutoTokenizer.from_pretrained(folder)
            for tools in (None, []):
                answer = run(tool, [{"folder": folder, "tools": tools}])[0]
                try:
                    wanted = {"template": theirs.get_chat_template(tools=tools), "special_tokens": theirs.special_tokens_map}
                except ValueError:
                    wanted = None
                if wanted != (None if "error" in answer else answer):
                    print("different folder", config, files, tools, "\n  graft:   ", answer, "\n  expected:", wanted)
                    return False
                count += 1
    print(count, "times the same files of a folder")
    return count >= 20


def main():
    tool, what = sys.argv[1:3]
    reference.datetime = FixedTime
    cases = list(conversations(NUM_CONVERSATIONS))
    if what == "collection":
        paths = sorted(glob.glob(os.path.join(sys.argv[3], "*.jinja")))
        assert len(paths) == COLLECTION_SIZE, f"{len(paths)} templates in {sys.argv[3]}"
        sys.exit(0 if compare(tool, paths, cases, turns=False) else 1)
    paths = sorted(glob.glob(os.path.join(os.path.dirname(trl.__file__), "chat_templates", "*.jinja")))
    marked = [path for path in paths if re.search(r"\{%-?\s*generation\b", read(path))]
    assert len(paths) >= LEAST_TRL_TEMPLATES and len(marked) >= LEAST_MARKED, (len(paths), len(marked))
    good = compare_folders(tool)
    good = compare(tool, paths, cases, turns=False) and good
    many = [{**case, "add_generation_prompt": False} for case in conversations(2 * NUM_MARKED_CONVERSATIONS, seed=2)
            if any(message["role"] == "assistant" for message in case["messages"])][:NUM_MARKED_CONVERSATIONS]
    assert len(many) == NUM_MARKED_CONVERSATIONS
    good = compare(tool, marked, many, turns=True) and good
    with_marks = next(path for path in marked if path.endswith("qwen3_training.jinja"))
    good = compare_masks(tool, sys.argv[3], with_marks, many) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
