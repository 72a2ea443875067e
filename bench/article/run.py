#!/usr/bin/env python3
"""The article's experiment on graft: last layers only, full finetuning, Houlsby's adapters, adapters + full, and the
article's exact adapter, on film reviews.

Starts graft-server and submits jobs as any user would. For each run, the learning rate is chosen on validation data
from one grid; then the other seeds are trained at that rate, and each result is evaluated on the test data. Prints
accuracy, parameters, time and memory, and draws accuracy against parameters.

Whatever is done is kept in --out, one JSON line each; the same command goes on where it stopped.
"""

import argparse
import dataclasses
import datetime
import fcntl
import glob
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import experiment  # noqa: E402
import report  # noqa: E402
import service  # noqa: E402
import split  # noqa: E402

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ("graft", "graft-server", "graft-worker")
PART = 2500  # Test reviews a call: the service ends a call after half an hour.
SETTING_FLAGS = ("train", "validation", "test", "max_length", "epochs", "batch_size", "precision", "adapter_size",
                 "base")


def parse_arguments():
    cache = os.environ.get("GRAFT_CACHE") or os.path.expanduser("~/.cache/graft")
    forms = "\n".join(
        f"  {name:7} {s.train:,}/{s.validation:,}/{s.test:,} reviews, {s.max_length} tokens, "
        f"{s.epochs:g} {'epoch' if s.epochs == 1 else 'epochs'}; "
        f"rates {' '.join(f'{rate:g}' for rate in grid)}; seeds {' '.join(map(str, seeds))}"
        for name, (s, grid, seeds) in experiment.FORMS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"The forms (train/validation/test):\n{forms}\n"
               "On two idle cores the small one takes "
               "about ten minutes, the medium one some hours, the full one days.")
    parser.add_argument("--subset", choices=tuple(experiment.FORMS), default="small", help="default: small")
    parser.add_argument("--out", metavar="DIR", help="results, data and logs; default: a folder article/SUBSET "
                        "beside set-up's cache")
    parser.add_argument("--imdb", metavar="FILE", help="CSV with the columns review and sentiment, may be gzipped; "
                        "needed unless --report")
    parser.add_argument("--bin", metavar="DIR", help="where graft, graft-server and graft-worker are; default: the "
                        "first of build/{release,ci,dev}/bin. They are copied to --out, so that a build in the "
                        "meantime changes nothing")
    parser.add_argument("--bases", metavar="DIR", default=os.path.join(cache, "bases"), help="default: %(default)s")
    parser.add_argument("--data", metavar="DIR", help="the servers' data folders; default: in --out. Each is removed "
                        "as soon as its job is tested")
    parser.add_argument("--time-limit", type=float, metavar="MINUTES", help="start no job after so many minutes")
    parser.add_argument("--report", action="store_true", help="run nothing; only rewrite table and picture")
    parser.add_argument("--write", metavar="FILE.md", help="where the report goes, its picture beside it; default: "
                        "article.md in --out")
    shape = parser.add_argument_group("instead of what the form says")
    shape.add_argument("--runs", nargs="+", metavar="RUN", help="some of " + ", ".join(
        run.key for run in experiment.runs(experiment.Settings())))
    shape.add_argument("--grid", nargs="+", type=float, metavar="RATE")
    shape.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="the grid is run at the first")
    for name in ("train", "validation", "test", "max-length", "batch-size", "adapter-size"):
        shape.add_argument("--" + name, type=int, metavar="N")
    shape.add_argument("--epochs", type=float, metavar="N")
    shape.add_argument("--precision", choices=("AUTO", "FP32", "BF16"))
    shape.add_argument("--base", metavar="NAME")
    arguments = parser.parse_args()
    arguments.out = os.path.abspath(arguments.out or os.path.join(cache, "article", arguments.subset))
    return arguments


def fail(message):
    sys.exit(f"bench/article: {message}")


def check_outside(folder):
    """The data and results are no part of the project."""
    inside = os.path.relpath(os.path.realpath(folder), os.path.realpath(SOURCE)).split(os.sep)
    if inside[0] not in (os.pardir, "build"):
        fail(f"{folder} lies in the project; choose an --out outside, or under build")


def machine():
    """What the figures were measured on."""
    model, memory = platform.processor() or platform.machine(), ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
        with open("/proc/meminfo", encoding="ascii") as file:
            memory = f", {int(file.readline().split()[1]) / 2**20:.0f} GiB of memory"
    except (OSError, ValueError, IndexError):
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} cores{memory}, {platform.system()} {platform.machine()}"


def command_line():
    """This command, without the folders of this machine."""
    words = []
    for word in sys.argv[1:]:
        option, equals, value = word.partition("=")
        path = value if equals else word
        if os.path.isabs(path):
            near = os.path.relpath(path, SOURCE)
            path = os.path.join("...", os.path.basename(path.rstrip(os.sep))) if near.startswith(os.pardir) else near
        words.append(option + "=" + path if equals else path)
    return " ".join(["bench/article/run.py", *words])


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def write_file(path, text):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".part", path)


class Folder:
    """The output folder: state.json, results.jsonl, the data and the binaries."""

    def __init__(self, path):
        self.path = path
        self.state = {}
        self._results = {}
        state = self.at("state.json")
        if os.path.exists(state):
            with open(state, encoding="utf-8") as file:
                self.state = json.load(file)
        if os.path.exists(self.at("results.jsonl")):
            with open(self.at("results.jsonl"), "rb+") as file:
                data = file.read()
                whole = data.rfind(b"\n") + 1
                file.truncate(whole)  # A line cut short by a crash is no result.
            for line in data[:whole].splitlines():
                self._keep(json.loads(line))

    def at(self, *names):
        return os.path.join(self.path, *names)

    def lock(self):
        os.makedirs(self.path, exist_ok=True)
        self._lock = open(self.at("lock"), "w", encoding="ascii")  # pylint: disable=consider-using-with
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fail(f"another run of this experiment is at work in {self.path}")

    def results(self):
        return list(self._results.values())

    def _keep(self, result):
        # A later result of the same step replaces an earlier one.
        self._results[tuple(result[k] for k in ("kind", "run", "learning_rate", "seed"))] = result

    def add(self, result):
        with open(self.at("results.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(result)
        self.state["last"] = now()
        self.state["first"] = self.state.get("first") or self.state["last"]
        self.save()

    def save(self):
        write_file(self.at("state.json"), json.dumps(self.state, indent=1) + "\n")


def settle(folder, arguments):
    """Takes up the settings, or refuses those that differ from what the folder's results were made with."""
    settings, grid, seeds = experiment.FORMS[arguments.subset]
    given = {name: getattr(arguments, name) for name in SETTING_FLAGS if getattr(arguments, name) is not None}
    settings = dataclasses.asdict(dataclasses.replace(settings, **given))
    earlier = folder.state.get("settings", settings)
    if earlier != settings:
        names = ", ".join(f"{name} {earlier.get(name)} instead of {settings[name]}"
                          for name in settings if earlier.get(name) != settings[name])
        fail(f"the results in {folder.path} were made with {names}; give another --out")
    keys = [run.key for run in experiment.runs(experiment.Settings(**settings))]
    chosen = arguments.runs or keys
    if set(chosen) - set(keys):
        fail(f"--runs: there is no run {', '.join(sorted(set(chosen) - set(keys)))}; there are {', '.join(keys)}")
    rates = sorted(set(arguments.grid or grid))
    if not all(0 < rate <= 1 for rate in rates):
        fail("--grid: learning rates are above 0 and at most 1")
    folder.state.update(settings=settings, form=arguments.subset, grid=rates,
                        seeds=list(dict.fromkeys(arguments.seeds or seeds)), runs=[k for k in keys if k in chosen],
                        machine=machine())
    command = command_line()
    if command not in folder.state.setdefault("commands", []):
        folder.state["commands"].append(command)
    folder.state.setdefault("first", "")
    folder.state.setdefault("last", "")


def copy_binaries(folder, given):
    kept = folder.at("bin")
    if not all(os.path.exists(os.path.join(kept, program)) for program in PROGRAMS):
        candidates = [given] if given else [os.path.join(SOURCE, "build", p, "bin") for p in ("release", "ci", "dev")]
        source = next((c for c in candidates if all(os.path.exists(os.path.join(c, p)) for p in PROGRAMS)), None)
        if not source:
            fail(f"there are no {', '.join(PROGRAMS)} in {' or '.join(candidates)}; build them, or name their --bin")
        os.makedirs(kept, exist_ok=True)
        for program in PROGRAMS:
            shutil.copy2(os.path.join(source, program), os.path.join(kept, program))
    elif given:
        print(f"going on with the binaries in {kept}, which the earlier results were made with")
    digest = hashlib.sha256()
    for program in PROGRAMS:
        with open(os.path.join(kept, program), "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest")
                          else hashlib.sha256(file.read()).digest())
    folder.state["graft"] = f"binaries sha256 {digest.hexdigest()[:16]}"
    return kept


def prepare_data(folder, settings, source):
    """Writes the sides once; returns their paths, and those of the test data's parts."""
    paths = {side: folder.at("data", side + ".jsonl") for side in split.SIDES}
    if "data" not in folder.state or not all(os.path.exists(path) for path in paths.values()):
        if source is None or not os.path.exists(source):
            fail(f"name the reviews' file with --imdb; {f'there is no {source}' if source else 'none was given'}")
        print(f"reading {source}", flush=True)
        reviews = split.read_reviews(source)
        sides = split.split(reviews, settings.counts(), settings.split_seed)
        paths, digests = split.write_sides(reviews, sides, folder.at("data"))
        data = {"reviews": len(reviews), "copies": split.count_copies(reviews), "sha256": digests}
        if folder.state.get("data", data)["sha256"] != digests:
            fail(f"{source} gives other data than the results in {folder.path} were made with; give another --out")
        folder.state["data"] = data
    return paths, split.write_parts(paths["test"], PART)


class Runner:
    """Does one step after another and says so."""

    def __init__(self, folder, arguments):
        self._folder = folder
        self._settings = experiment.Settings(**folder.state["settings"])
        self._runs = [r for r in experiment.runs(self._settings) if r.key in folder.state["runs"]]
        self._grid, self._seeds = folder.state["grid"], folder.state["seeds"]
        self._paths, self._parts = prepare_data(folder, self._settings, arguments.imdb)
        self._binaries = copy_binaries(folder, arguments.bin)
        self._bases = os.path.abspath(arguments.bases)
        self._servers = os.path.abspath(arguments.data) if arguments.data else folder.at("server")
        folder.save()

    def next_step(self):
        return experiment.next_step(self._runs, self._grid, self._seeds, self._folder.results())

    def progress(self):
        jobs, tests = experiment.steps_in_all(self._runs, self._grid, self._seeds)
        done = experiment.count_done(self._runs, self._grid, self._seeds, self._folder.results())
        return f"{done[0]} of {jobs} trainings, {done[1]} of {tests} tests"

    def do(self, step):
        data = os.path.join(self._servers, step.key())
        trained = experiment.find(self._folder.results(), "train", step.run.key, step.learning_rate, step.seed)
        if step.kind == "train" or not os.path.isdir(data):
            # What is to be tested may have been removed when another rate was chosen: it is trained again.
            trained = [self._train(step, data)]
        if step.kind == "test" and trained[0]["validation_accuracy"] is not None:
            with service.Server(self._binaries, data, self._bases) as server:
                result = service.test(server, step, trained[0], self._parts)
            self._folder.add(result | {"date": now()})
            print(f"  test: accuracy {result['test_accuracy']:.4f} of {result['test_examples']:,} reviews, "
                  f"{result['seconds']:.0f} s", flush=True)
            used = f"{step.run.key}-*-{step.seed}" if step.seed == self._seeds[0] else step.key()
            for folder in glob.glob(os.path.join(glob.escape(self._servers), used)):
                service.remove(folder)

    def _train(self, step, data):
        print(f"[{self.progress()}] {step.run.title}, learning rate {step.learning_rate:g}, seed {step.seed}",
              flush=True)
        started = time.monotonic()
        last = [started]

        def show(progress):
            if time.monotonic() - last[0] >= 30:
                last[0] = time.monotonic()
                print(f"  step {progress.get('step', 0)} of {progress.get('total_steps', '?')}, loss "
                      f"{progress.get('loss', 0):.4f}, {progress.get('tokens_per_second', 0):,.0f} tokens/s, "
                      f"{progress.get('eta_seconds', 0):.0f} s left", flush=True)

        with service.Server(self._binaries, data, self._bases) as server:
            result = service.train(server, self._settings, step, self._paths, show)
        result |= {"wall_seconds": round(time.monotonic() - started, 3), "date": now()}
        self._folder.add(result)
        if result["validation_accuracy"] is None:
            service.remove(data)
            print(f"  diverged: {result['error']}", flush=True)
        else:
            print(f"  validation: accuracy {result['validation_accuracy']:.4f}, loss {result['validation_loss']:.4f}; "
                  f"{result['trainable_parameters']:,} parameters, {result['seconds']:.0f} s, "
                  f"{result['peak_memory_bytes'] / 2**20:,.0f} MiB", flush=True)
        return result


def write_report(folder, path):
    path = os.path.abspath(path or folder.at("article.md"))
    picture = report.picture(folder.state, folder.results())
    picture_path = os.path.splitext(path)[0] + ".svg"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if picture:
        write_file(picture_path, picture)
    text = report.markdown(folder.state, folder.results(), os.path.basename(picture_path) if picture else None)
    write_file(path, text)
    print(f"\n{text}\nwritten to {path}" + (f" and {picture_path}" if picture else ""))


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    arguments = parse_arguments()
    check_outside(arguments.out)
    if arguments.data:
        check_outside(arguments.data)
    folder = Folder(arguments.out)
    if arguments.report:
        if not folder.results():
            fail(f"there are no results in {folder.path}; run without --report first")
        write_report(folder, arguments.write)
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    started = time.monotonic()
    folder.lock()
    settle(folder, arguments)
    try:
        runner = Runner(folder, arguments)
        while (step := runner.next_step()) is not None:
            if arguments.time_limit and time.monotonic() - started > 60 * arguments.time_limit:
                print("the time limit is reached; the same command goes on from here")
                break
            runner.do(step)
        print(f"run so far: {runner.progress()}")
    except (service.GraftError, ValueError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on from here")
    write_report(folder, arguments.write)


if __name__ == "__main__":
    main()
