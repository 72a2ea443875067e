"""What the experiment runs, in which order, and which learning rate it chooses: no process and no file here."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Run:
    """One way to finetune: a curve point of the article."""
    key: str
    title: str
    method: str
    fields: tuple  # ((name, value), ...) of the method, as `graft submit --set` takes them


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that changes a figure. Results of different settings are never mixed in one folder."""
    base: str = "minilm"
    train: int = 35000
    validation: int = 5000
    test: int = 10000
    max_length: int = 256
    epochs: float = 3
    batch_size: int = 16
    warmup_ratio: float = 0.1
    precision: str = "AUTO"
    adapter_size: int = 64
    exact_size: int = 32
    split_seed: int = 1

    def counts(self):
        return {"train": self.train, "validation": self.validation, "test": self.test}


# The forms of --subset: settings, learning rates, seeds.
FORMS = {
    "small": (Settings(train=1200, validation=300, test=600, max_length=64, epochs=1),
              (1e-4, 5e-4, 2e-3), (1, 2, 3)),
    "medium": (Settings(train=6000, validation=1000, test=3000, max_length=128, epochs=2),
               (3e-5, 1e-4, 5e-4, 2e-3), (1, 2, 3)),
    "full": (Settings(), (3e-5, 1e-4, 3e-4, 1e-3, 2e-3), (1, 2, 3)),
}

# Standard deviation that, for both projections of the exact adapter, gives their product the size that PyTorch's
# default initialisation gives it at a width of 384 and a bottleneck of 32 (normal, truncated at two of it).
EXACT_INIT_STD = 0.0624


def runs(settings):
    """The article's four runs, and its exact adapter: no skip connection, far from identity, under a frozen head."""
    size = ("size", str(settings.adapter_size))
    return (
        Run("last-layers", "Last layers only", "last_layers", (("num_layers", "0"),)),
        Run("exact-adapter", "Article's exact adapter", "bottleneck",
            (("placement", "HOULSBY"), ("size", str(settings.exact_size)), ("activation", "gelu"),
             ("init_std", str(EXACT_INIT_STD)), ("residual", "false"), ("freeze_head", "true"))),
        Run("houlsby", "Houlsby adapters", "bottleneck", (("placement", "HOULSBY"), size)),
        Run("full", "Full finetuning", "full", ()),
        Run("adapters-full", "Adapters + full", "bottleneck",
            (("placement", "HOULSBY"), size, ("unfreeze_base", "true"))),
    )


def find(results, kind, run, learning_rate=None, seed=None):
    """The results of that kind and run, and learning rate and seed if given."""
    return [r for r in results
            if r["kind"] == kind and r["run"] == run and learning_rate in (None, r["learning_rate"]) and
            seed in (None, r["seed"])]


def choose_learning_rate(results, run, grid, seed):
    """The rate of `grid` with the best validation accuracy of `run` at `seed`.

    None while the grid is not done, or if training diverged at all of its rates. Reads validation figures alone. Of
    equal accuracies the lower validation loss wins, then the lower rate.
    """
    candidates = []
    for rate in sorted(grid):
        trained = find(results, "train", run, rate, seed)
        if not trained:
            return None
        if trained[0]["validation_accuracy"] is not None:
            candidates.append((-trained[0]["validation_accuracy"], trained[0]["validation_loss"], rate))
    return min(candidates)[2] if candidates else None


@dataclasses.dataclass(frozen=True)
class Step:
    kind: str  # "train", or "test" of what was trained
    run: Run
    learning_rate: float
    seed: int

    def key(self):
        return f"{self.run.key}-{self.learning_rate:g}-{self.seed}"


def next_step(all_runs, grid, seeds, results):
    """What to do next, or None when all is done: a function of the results alone, so that any stop can be resumed.

    First each run's grid, at the first seed, and the test of the rate it chose; then the other seeds at that rate,
    a seed over all runs at a time, so that a stop leaves a fair comparison of fewer seeds.
    """
    for run in all_runs:
        for rate in sorted(grid):
            if not find(results, "train", run.key, rate, seeds[0]):
                return Step("train", run, rate, seeds[0])
        rate = choose_learning_rate(results, run.key, grid, seeds[0])
        if rate is not None and not find(results, "test", run.key, rate, seeds[0]):
            return Step("test", run, rate, seeds[0])
    for seed in seeds[1:]:
        for run in all_runs:
            rate = choose_learning_rate(results, run.key, grid, seeds[0])
            if rate is None:
                continue
            trained = find(results, "train", run.key, rate, seed)
            if not trained:
                return Step("train", run, rate, seed)
            if trained[0]["validation_accuracy"] is not None and not find(results, "test", run.key, rate, seed):
                return Step("test", run, rate, seed)
    return None


def steps_in_all(all_runs, grid, seeds):
    """(jobs, evaluations) of the whole experiment."""
    return len(all_runs) * (len(grid) + len(seeds) - 1), len(all_runs) * len(seeds)


@dataclasses.dataclass(frozen=True)
class Row:
    """One run's line of the table. Shares and accuracies are fractions; None: not known yet."""
    run: Run
    learning_rate: float
    at_edge: bool  # of the grid: a rate outside might be better
    accuracies: tuple  # on the test data, one a seed
    validation: tuple
    parameters: int
    base_parameters: int
    seconds: float  # mean of the seeds
    peak_bytes: int  # greatest of the seeds
    peak_sources: tuple
    diverged: int

    @property
    def mean(self):
        return statistics.fmean(self.accuracies)

    @property
    def spread(self):
        """Standard deviation over seeds; None of a single one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


def rows(all_runs, grid, seeds, results):
    """A Row for each run that has been tested at least once."""
    found = []
    for run in all_runs:
        rate = choose_learning_rate(results, run.key, grid, seeds[0])
        if rate is None:
            continue
        tests = [t for seed in seeds for t in find(results, "test", run.key, rate, seed)]
        trained = [t for seed in seeds for t in find(results, "train", run.key, rate, seed)]
        sound = [t for t in trained if t["validation_accuracy"] is not None]
        if not tests:
            continue
        found.append(Row(
            run=run, learning_rate=rate, at_edge=len(grid) > 1 and rate in (min(grid), max(grid)),
            accuracies=tuple(t["test_accuracy"] for t in tests),
            validation=tuple(t["validation_accuracy"] for t in sound),
            parameters=sound[0]["trainable_parameters"], base_parameters=sound[0]["base_parameters"],
            seconds=statistics.fmean(t["seconds"] for t in sound),
            peak_bytes=max(t["peak_memory_bytes"] for t in sound),
            peak_sources=tuple(sorted({t["peak_memory_source"] for t in sound})),
            diverged=len(trained) - len(sound)))
    return found


def count_done(all_runs, grid, seeds, results):
    """(jobs, evaluations) of steps_in_all() that have a result."""
    jobs = tests = 0
    for run in (run.key for run in all_runs):
        jobs += sum(bool(find(results, "train", run, rate, seeds[0])) for rate in grid)
        rate = choose_learning_rate(results, run, grid, seeds[0])
        if rate is not None:
            jobs += sum(bool(find(results, "train", run, rate, seed)) for seed in seeds[1:])
            tests += sum(bool(find(results, "test", run, rate, seed)) for seed in seeds)
    return jobs, tests
