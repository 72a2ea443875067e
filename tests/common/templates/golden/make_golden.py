"""Makes the golden files beside it: what jinja2, set up as transformers sets it up, renders.

    oracle-peft/bin/python tests/common/templates/golden/make_golden.py

<concern>.json holds pairs of a template and its text, null where jinja2 refuses it; the variables are those of
variables.json. conversations.json holds what the four *.jinja here, each of the form that a family of models uses, make of
a few conversations.
"""
import copy
import json
import os

import transformers.utils.chat_template_utils as reference

from snippets import CONCERNS, VARIABLES

HERE = os.path.dirname(os.path.abspath(__file__))

TEMPLATES = ("chatml", "headers", "inst", "marked")
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds \u00abnumbers\u00bb", "parameters": {
    "type": "object", "properties": {"b": {"type": "number"}, "a": {"type": "number", "default": 1.0}}, "required": ["b"]}}}
SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Hi \U0001f600"}
ANSWER = {"role": "assistant", "content": " Hello!\n"}
CALL = {"role": "assistant", "content": None,
        "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"b": 2, "a": 1.5}}}]}
RESULT = {"role": "tool", "name": "add", "content": "3.5"}
CONVERSATIONS = [
    {"messages": [USER]},
    {"messages": [SYSTEM, USER]},
    {"messages": [USER, ANSWER]},
    {"messages": [SYSTEM, USER, ANSWER, USER]},
    {"messages": [USER, ANSWER, USER, ANSWER]},
    {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]},
    {"messages": [USER, CALL, RESULT, ANSWER], "tools": [TOOL]},
    {"messages": [USER, USER]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image"}]}]},
    {"messages": [{**USER, "name": "Zo\u00eb"}, {**ANSWER, "thinking": "hm"}]},
    {"messages": []},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class FixedTime(reference.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 6, 15, 4, 5)


def snippet(source):
    try:
        return reference._cached_compile_jinja_template(source).render(**copy.deepcopy(VARIABLES))
    except Exception:
        return None


def conversation(source, case, prompt):
    messages = [{k: v for k, v in message.items() if v is not None} for message in case["messages"]]
    try:
        texts, marked = reference.render_jinja_template(
            [messages], tools=case.get("tools"), chat_template=source, return_assistant_tokens_mask=True,
            add_generation_prompt=prompt, **TOKENS)
    except Exception:
        return None
    text = texts[0]
    return {"text": text, "generated": [[len(text[:a].encode()), len(text[:b].encode())] for a, b in marked[0]]}


def write(name, value):
    with open(os.path.join(HERE, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def main():
    reference.datetime = FixedTime
    write("variables", VARIABLES)
    for concern, sources in CONCERNS.items():
        write(concern, [[source, snippet(source)] for source in sources])
    rendered = []
    for name in TEMPLATES:
        with open(os.path.join(HERE, name + ".jinja"), encoding="utf-8") as file:
            source = file.read()
        for i, case in enumerate(CONVERSATIONS):
            for prompt in (False, True):
                rendered.append({"template": name, "conversation": i, "add_generation_prompt": prompt,
                                 "is": conversation(source, case, prompt)})
    write("conversations", {"special_tokens": TOKENS, "conversations": CONVERSATIONS, "rendered": rendered})


if __name__ == "__main__":
    main()
