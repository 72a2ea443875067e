"""Four small tasks for lm-eval, one of each kind that it asks a model for, with data made up here.

Among them are words of several tokens, characters of several tokens, and texts behind which the model ends its answer.
"""
import json

# A question, its answer, and three that are wrong.
QUESTIONS = [
    ("What colour is fresh snow?", "white", "green", "dark red", "orange"),
    ("What do bees make?", "honey", "silk stockings", "paper money", "bricks"),
    ("Which of these is used to cut paper?", "a pair of scissors", "a pillow", "soup", "a candle"),
    ("Where do fish live?", "in water", "in trees", "in the oven", "under the carpet"),
    ("What does a thermometer measure?", "temperature", "weight", "the price of bread", "loudness"),
    ("How many days are there in a week?", "seven", "five", "twelve", "thirty"),
    ("What falls from clouds?", "rain", "sand", "keys", "furniture"),
    ("Which animal barks?", "a dog", "a hen", "an earthworm", "a goldfish"),
    ("What does a baker sell?", "bread", "tyres", "spectacles", "sailing boats"),
    ("What is needed to open a locked door?", "a key", "a spoon", "a feather", "a lemon"),
    ("What grows on an apple tree?", "apples", "potatoes", "carrots", "mushrooms"),
    ("When does the sun set?", "in the evening", "at noon", "at breakfast", "never"),
    ("Which of these is a drink?", "caf\u00e9 au lait", "a cr\u00eape", "a pi\u00f1ata", "a kimono"),
    ("What does a cow give?", "milk", "petrol", "ink", "sea water"),
    ("Which of these is a face?", "\U0001f600", "\U0001f33b", "\U0001f697", "\u2654"),
    ("What do you wear on your feet?", "shoes", "gloves", "a scarf", "a hat"),
    ("What is ice made of?", "frozen water", "glass", "salt", "white stone"),
    ("Which of these can fly?", "a swallow", "a horse", "a snail", "a tortoise"),
    ("What does a librarian lend?", "books", "cars", "shoes", "umbrellas"),
    ("What is the opposite of hot?", "cold", "fast", "blue", "heavy"),
]

PARAGRAPHS = [
    "The ferry leaves the old harbour at seven. Before that the cook buys fish on the quay, and the mate counts the "
    "ropes twice.",
    "Put the lentils into cold water, add an onion and two carrots, and let it boil slowly for forty minutes. Salt "
    "comes last.",
    "Zo\u00eb's na\u00efve fa\u00e7ade \u2014 \u201cni\u00f1a, 2\u00d73 \u2248 6\u201d \u2014 was sold for "
    "\u20ac1,250 in \u6771\u4eac \U0001f5fc.",
    "A short one.",
]


def asked(question):
    """As the model's chat template writes it; behind the answer comes the end of the turn."""
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


ENDINGS = [
    (asked("What is the capital of France?"), "The capital of France is Paris."),
    (asked("Say hello."), "Hello!"),
    ("one two three four five six", " seven"),
    ("one two three four five six", " eleven"),
    ("Monday, Tuesday, Wednesday, Thursday,", " Friday"),
    ("The cat sat on the", " gearbox"),
    ("She plays the piano and he plays the", " guitar"),
    ("\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600", "\U0001f600"),
]

ANSWERS = [
    ("red, green, red, green, red, green, red,", "green, red, green, red, green, red,"),
    ("Q: 1 + 1\nA: 2\nQ: 2 + 1\nA: 3\nQ: 3 + 1\nA:", "4"),
    ("cat -> cats\ndog -> dogs\nbird ->", "birds"),
    ("The opposite of up is down.\nThe opposite of left is", "right."),
    (asked("What is the capital of Italy? Answer in one sentence."), "The capital of Italy is Rome."),
]


def write_tasks(folder):
    """Writes the tasks and their data; returns the tasks' files, which --tasks takes."""
    mean = {"aggregation": "mean", "higher_is_better": True}
    tasks = {
        "choices": ([{"question": question, "choices": options[i % 4:] + options[:i % 4], "answer": -i % 4}
                     for i, (question, *options) in enumerate(QUESTIONS)],
                    {"output_type": "multiple_choice", "doc_to_text": "Question: {{question}}\nAnswer:",
                     "doc_to_choice": "{{choices}}", "doc_to_target": "{{answer}}",
                     "metric_list": [{"metric": "acc", **mean}, {"metric": "acc_norm", **mean}]}),
        "paragraphs": ([{"text": text} for text in PARAGRAPHS],
                       {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
                        "metric_list": [{"metric": name} for name in
                                        ("word_perplexity", "byte_perplexity", "bits_per_byte")]}),
        "endings": ([{"text": text, "ending": ending} for text, ending in ENDINGS],
                    {"output_type": "loglikelihood", "doc_to_text": "{{text}}", "doc_to_target": "{{ending}}",
                     "target_delimiter": "", "metric_list": [{"metric": "acc", **mean}, {"metric": "perplexity"}]}),
        "answers": ([{"text": text, "answer": answer} for text, answer in ANSWERS],
                    {"output_type": "generate_until", "doc_to_text": "{{text}}", "doc_to_target": "{{answer}}",
                     "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 12},
                     "filter_list": [{"name": "bare", "filter": [{"function": "remove_whitespace"},
                                                                 {"function": "take_first"}]}],
                     "metric_list": [{"metric": "exact_match", **mean}]}),
    }
    files = []
    for name, (rows, task) in tasks.items():
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(folder / f"{name}.yaml")
        # JSON is YAML too.
        files[-1].write_text(json.dumps({"task": name, "dataset_path": "json", "test_split": "test",
                                         "dataset_kwargs": {"data_files": {"test": str(data)}}, **task}))
    return files
