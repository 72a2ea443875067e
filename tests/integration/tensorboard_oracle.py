"""Prints, for each folder of a JSON list, what TensorBoard reads in it: {tag: [[wall time, step, value]]}. Runs in the
environment oracle-tensorboard.
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

with open(sys.argv[1], encoding="utf-8") as file:
    folders = json.load(file)
for folder in folders:
    events = EventAccumulator(folder, size_guidance={SCALARS: 0})
    events.Reload()
    print(json.dumps({tag: [[e.wall_time, e.step, e.value] for e in events.Scalars(tag)]
                      for tag in events.Tags()["scalars"]}))
