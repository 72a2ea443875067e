"""Conversations of every kind that a chat template may meet, the same on every machine."""
import json
import random

TEXTS = ["Hello", "What's 2 + 2?", "", " spaced  out ", "line one\nline two\n\nline four", "\u4f60\u597d\uff0c\u4e16\u754c",
         "emoji \U0001f600\U0001f469\u200d\U0001f4bb", "tabs\tand\u00a0no-break", "<b>&amp; \"quotes\" 'single'</b>",
         "{{ not a tag }} {% nor this %}", "<|im_end|> [INST] </s> <think>no</think>", "caf\u00e9 na\u00efve \u00df", "x" * 300,
         "a\\b \\n", "\n\nleading", "trailing\n\n", "1e5", "{\"a\": 1}"]
ANSWERS = TEXTS + ["<think>\nLet me see.\n</think>\n\nFour.", "<think></think>done", "no end <think>of thought"]
FUNCTIONS = [
    {"name": "get_weather", "description": "Weather of a place", "parameters": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "The city's name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"}}}},
    {"name": "add", "description": "Adds \u00abnumbers\u00bb", "parameters": {
        "type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "number"}, "minItems": 2},
                                         "exact": {"type": ["boolean", "null"]},
                                         "more": {"type": "object", "properties": {"x": {"type": "integer"}}}}}},
    {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}},
    {"name": "find", "description": "Finds <things> & more", "parameters": {
        "type": "object", "required": ["query", "limit"], "additionalProperties": False, "properties": {
            "query": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "limit": {"type": "integer"}}}, "strict": True},
]
ARGUMENTS = [{"city": "Z\u00fcrich"}, {"numbers": [1, 2.5, -3, 1e20], "exact": True, "more": {"x": None}}, {},
             {"query": "a \"b\"", "limit": 3}]


def tool_call(rng, number, as_text):
    index = rng.randrange(len(FUNCTIONS))
    arguments = ARGUMENTS[index]
    if as_text:
        arguments = json.dumps(arguments)
    return {"id": f"call{number:05d}", "type": "function",
            "function": {"name": FUNCTIONS[index]["name"], "arguments": arguments}}


def messages_of(rng, tools, as_text):
    messages = []
    if rng.random() < 0.5:
        messages.append({"role": "system", "content": rng.choice(TEXTS)})
    if rng.random() < 0.04:
        messages.append({"role": "developer", "content": "Be brief."})
    for turn in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        user = {"role": "user", "content": rng.choice(TEXTS)}
        if rng.random() < 0.1:
            user["name"] = "Zo\u00eb"
        messages.append(user)
        if tools and rng.random() < 0.6:
            calls = [tool_call(rng, turn * 10 + i, as_text) for i in range(rng.choice([1, 1, 2]))]
            call = {"role": "assistant", "content": rng.choice([None, None, "", "I'll look."]), "tool_calls": calls}
            if rng.random() < 0.3:
                del call["content"]
            messages.append(call)
            for one in calls:
                messages.append({"role": "tool", "tool_call_id": one["id"], "name": one["function"]["name"],
                                 "content": rng.choice(TEXTS + ["{\"result\": 4}"])})
        answer = {"role": "assistant", "content": rng.choice(ANSWERS)}
        if rng.random() < 0.15:
            answer[rng.choice(["reasoning_content", "thinking", "reasoning"])] = rng.choice(TEXTS)
        if rng.random() < 0.1:
            answer["tool_calls"] = None
        messages.append(answer)
    if rng.random() < 0.5:
        messages.pop()
    return messages


def strict_pairs(rng):
    """What templates take that insist on user and assistant in turn."""
    messages = []
    for _ in range(rng.randint(1, 4)):
        messages.append({"role": "user", "content": rng.choice(TEXTS)})
        messages.append({"role": "assistant", "content": rng.choice(ANSWERS)})
    return messages[:-1] if rng.random() < 0.5 else messages


def parts(rng, messages):
    """Contents as lists of parts, as for models that see pictures."""
    for message in messages:
        if isinstance(message.get("content"), str) and rng.random() < 0.7:
            message["content"] = [{"type": "text", "text": message["content"]}]
            if message["role"] == "user" and rng.random() < 0.3:
                message["content"].insert(0, {"type": "image"})
    return messages


def conversations(count, seed=1):
    """`count` dicts of messages, tools (None for none) and variables."""
    rng = random.Random(seed)
    for i in range(count):
        kind = i % 8
        tools = None
        if kind in (2, 3, 4):
            tools = [{"type": "function", "function": f} for f in rng.sample(FUNCTIONS, rng.randint(1, len(FUNCTIONS)))]
        if kind in (5, 6):
            messages = strict_pairs(rng)
        else:
            messages = messages_of(rng, tools, as_text=kind == 3)
        if kind == 7:
            messages = parts(rng, messages)
        variables = {}
        if rng.random() < 0.3:
            variables["enable_thinking"] = rng.random() < 0.5
        if rng.random() < 0.1:
            variables["reasoning_effort"] = rng.choice(["low", "medium", "high"])
        yield {"messages": messages, "tools": tools, "variables": variables, "add_generation_prompt": rng.random() < 0.5}
