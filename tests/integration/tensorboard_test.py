#!/usr/bin/env python3
"""TensorBoard's own EventAccumulator reads from a job's file every scalar of the job's stored events, in order and once,
although the server is killed twice while the job trains, and the file is torn.
"""
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import SKIPPED, Graft, parse_paths, poll  # noqa: E402
from oracles import ask_oracle  # noqa: E402
from tiny_model import write_base  # noqa: E402

PROGRESS = ("loss", "learning_rate", "grad_norm", "tokens_per_second")


def find_oracle():
    cache = Path(os.environ.get("GRAFT_CACHE", Path.home() / ".cache" / "graft"))
    return cache / "oracle-tensorboard/bin/python"


def scalars_of(events):
    """{tag: [(step, value)]} as the stored events have them."""
    found = {}

    def add(tag, step, value):
        found.setdefault(tag, []).append((int(step), float(value)))

    for event in events:
        if "progress" in event:
            progress = event["progress"]
            for name in PROGRESS:
                add(f"train/{name}", progress.get("step", 0), progress.get(name, 0))
        elif "evaluation" in event:
            evaluation = event["evaluation"]
            for name, value in {"loss": evaluation.get("loss", 0), **evaluation.get("metrics", {})}.items():
                add(f"eval/{evaluation['split']}/{name}", evaluation.get("step", 0), value)
    return found


def write_data(path):
    rows = ["text,label"]
    for i in range(200):
        first = 10 * (i % 2)
        rows.append(f"w{first + i % 7} w{first + i % 5} w{first + i % 3},{'high' if first else 'low'}")
    path.write_text("\n".join(rows) + "\n")


class Run:
    def __init__(self, bin_folder, folder):
        self.bin_folder, self.folder, self.boards = bin_folder, folder, folder / "boards"
        (folder / "bases").mkdir()
        write_base(folder / "bases" / "tiny")
        write_data(folder / "data.csv")

    def server(self, *options):
        return Graft(self.bin_folder, self.folder / "bases", self.folder, "--data-roots", str(self.folder),
                     "--tensorboard", str(self.boards), *options)

    def files(self):
        return sorted(self.boards.glob("**/events.out.tfevents.*"))

    def events(self, graft, job):
        code, output, error = graft.call("watch", job)
        assert code == 0, error
        return [json.loads(line) for line in output.splitlines()]

    def kill(self, graft, larger_than):
        """Ends the server, and with it the worker, once the job's file has grown."""
        def grown():
            files = self.files()
            return files and files[0].stat().st_size > larger_than
        poll("the file's growth", grown, pause=0.01)
        graft.process.child.send_signal(signal.SIGKILL)
        graft.process.child.wait()
        return self.files()[0].stat().st_size

    def all(self):
        with self.server() as graft:
            job = graft.submit("--base", "tiny", "--adapter", "a", "--train", f"file://{self.folder / 'data.csv'}",
                               "--method", "lora", "--max-steps", "3000", "--batch-size", "4",
                               "--validation-fraction", "0.2", "--hp", "checkpoint_seconds=1")
            size = self.kill(graft, 200)
        torn = self.files()[0]
        os.truncate(torn, size - 5)
        with self.server() as graft:
            self.kill(graft, size + 200)
        with self.server() as graft:
            graft.finish(job)
            events = self.events(graft, job)
            poll("the file's end", lambda: self.is_whole(events))
        assert self.files() == [torn] and torn.parent == self.boards / "a" / job, self.files()
        return torn, events

    def is_whole(self, events):
        # The last event's number stands in the mark at the end, behind key 50001.
        number, mark = int(events[-1]["number"]), b""
        while number >= 0x80:
            mark, number = mark + bytes([number & 0x7F | 0x80]), number >> 7
        return self.files()[0].read_bytes()[:-4].endswith(b"\x88\xb5\x18" + mark + bytes([number]))


def compare(read, events):
    wanted = scalars_of(events)
    assert set(read) == set(wanted), set(read) ^ set(wanted)
    for tag, values in wanted.items():
        assert [step for _, step, _ in read[tag]] == [step for step, _ in values], tag
        for (_, step, got), (_, value) in zip(read[tag], values):
            assert got == value or abs(got - value) <= 1e-6 * abs(value), (tag, step, got, value)
        times = [time for time, _, _ in read[tag]]
        assert times == sorted(times), tag
    stored = [e for e in events if "progress" in e]
    for (time, _, _), event in zip(read["train/loss"], stored):
        shown = event["time"].rstrip("Z").partition(".")[2]
        assert abs(time % 1 - float("0." + (shown or "0"))) < 1e-5, (time, event["time"])
    return sum(len(values) for values in wanted.values())


def check_refusals(bin_folder, folder):
    """A folder that can't be made stops the start with a sentence."""
    (folder / "a file").write_text("x")
    server = Graft.__new__(Graft)
    try:
        server.__init__(bin_folder, folder / "bases", folder, "--tensorboard", str(folder / "a file" / "boards"))
    except AssertionError as error:
        assert "--tensorboard names" in str(error) and "a file/boards" in str(error), error
        return
    server.process.stop()
    raise AssertionError("the server started")


def main():
    arguments = parse_paths(__doc__, "bin")
    python = find_oracle()
    if not python.exists():
        print(f"skipped: {python} is missing; scripts/setup.sh installs it")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="graft-tensorboard-") as name:
        folder = Path(name)
        run = Run(arguments.bin, folder)
        path, events = run.all()
        read = ask_oracle(python, Path(__file__).with_name("tensorboard_oracle.py"), [str(path.parent)], folder)[0]
        count = compare(read, events)
        attempts = sum(1 for e in events if e.get("state_change", {}).get("to") == "RUNNING")
        assert attempts >= 2, attempts
        print(f"{count} scalars of {len(events)} events over {attempts} attempts")
        check_refusals(arguments.bin, folder)


if __name__ == "__main__":
    main()
