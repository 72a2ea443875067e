"""The article's data: film reviews, parted into training, validation and test data.

Reviews with the same normalised text are kept on one side: the set holds some hundred copies, and a copy of a
training review in the test data would be counted as understanding.
"""

import csv
import gzip
import hashlib
import json
import os
import random
import re

SIDES = ("train", "validation", "test")
LABELS = ("negative", "positive")

_TAG = re.compile(r"<[^<>]{0,20}>")
_NOT_WORD = re.compile(r"[\W_]+")


def normalised(text):
    """What two copies of a review share: its words, without case, markup and punctuation."""
    return _NOT_WORD.sub(" ", _TAG.sub(" ", text)).strip().casefold()


def read_reviews(path):
    """[(text, label)] of a CSV file with the columns review and sentiment (0 or 1); may be gzipped."""
    csv.field_size_limit(1 << 24)
    opener = gzip.open if path.endswith(".gz") else open
    reviews = []
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {"review", "sentiment"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} has no columns review and sentiment; it has {rows.fieldnames}")
        for row in rows:
            if row["sentiment"] not in ("0", "1") or not row["review"]:
                raise ValueError(f"{path}: near line {rows.line_num}: a sentiment must be 0 or 1, a review not empty")
            reviews.append((row["review"], int(row["sentiment"])))
    return reviews


def split(reviews, counts, seed):
    """{side: [index]} with counts[side] reviews each, half of them of either label, drawn by `seed`.

    Copies of one review are on one side. Raises ValueError if there are too few reviews.
    """
    generator = random.Random(seed)
    groups = {}
    for index, (text, _) in enumerate(reviews):
        groups.setdefault(normalised(text), []).append(index)
    order = sorted(groups.values())
    generator.shuffle(order)

    def labels_of(group):
        return [sum(reviews[i][1] == label for i in group) for label in (0, 1)]

    def take(group, room):
        """Whether there is room for all of the group, which is then taken up."""
        need = labels_of(group)
        if any(room[label] < need[label] for label in (0, 1)):
            return False
        for label in (0, 1):
            room[label] -= need[label]
        return True

    total = sum(counts[side] for side in SIDES)
    if any(counts[side] < 2 or counts[side] % 2 for side in SIDES):
        raise ValueError("each side needs an even number of reviews, half of them of either label")
    room = [total // 2, total // 2]
    chosen = [group for group in order if take(group, room)]
    if any(room):
        raise ValueError(f"the file has too few reviews for {total}, half of them of either label")

    rooms = {side: [counts[side] // 2, counts[side] // 2] for side in SIDES}
    sides = {side: [] for side in SIDES}
    # Groups first: the single reviews behind them fill whatever gaps they leave.
    for group in sorted(chosen, key=len, reverse=True):
        open_sides = list(SIDES)
        while True:
            if not open_sides:
                raise ValueError("the copies of a review don't fit into one side; ask for more reviews")
            weights = [sum(rooms[side]) + 1e-9 for side in open_sides]
            side = generator.choices(open_sides, weights)[0]
            if take(group, rooms[side]):
                sides[side] += group
                break
            open_sides.remove(side)
    for side in SIDES:
        generator.shuffle(sides[side])
    return sides


def write_sides(reviews, sides, folder):
    """Writes <folder>/<side>.jsonl with the columns text and label; returns {side: path} and {side: sha256}."""
    os.makedirs(folder, exist_ok=True)
    paths, digests = {}, {}
    for side in SIDES:
        data = "".join(json.dumps({"text": reviews[i][0], "label": LABELS[reviews[i][1]]}) + "\n"
                       for i in sides[side]).encode()
        paths[side] = os.path.join(folder, side + ".jsonl")
        digests[side] = hashlib.sha256(data).hexdigest()
        with open(paths[side] + ".part", "wb") as file:
            file.write(data)
        os.replace(paths[side] + ".part", paths[side])
    return paths, digests


def write_parts(path, size):
    """Writes the lines of a file into files of at most `size` lines beside it; returns their paths."""
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    parts = []
    for start in range(0, len(lines), size):
        parts.append(f"{path.removesuffix('.jsonl')}-{len(parts) + 1}.jsonl")
        with open(parts[-1], "w", encoding="utf-8") as part:
            part.writelines(lines[start:start + size])
    return parts


def count_copies(reviews):
    """How many reviews are copies of an earlier one."""
    return len(reviews) - len({normalised(text) for text, _ in reviews})
