"""The results as Markdown and as a picture."""

import math

import chart
import experiment

GAP_POINTS, SHARE = 1.0, 0.04  # What Houlsby's adapters are measured by: gap to full finetuning, share of parameters.


def _percent(fraction, spread=None):
    return f"{100 * fraction:.2f}" + (f" ± {100 * spread:.2f}" if spread is not None else "")


def _seconds(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _cells(values):
    return " | ".join(values)


def table(rows, full):
    """The rows as a Markdown table; shares are of the Row `full`, or of the base where that is missing."""
    lines = ["| run | test accuracy, % | seeds | validation, % | learning rate | trainable parameters | of full's "
             "| training | peak memory |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        share = row.parameters / (full.parameters if full else row.base_parameters)
        lines.append("| " + _cells([
            row.run.title, _percent(row.mean, row.spread), str(len(row.accuracies)),
            _percent(sum(row.validation) / len(row.validation)),
            f"{row.learning_rate:g}" + ("*" if row.at_edge else ""),
            f"{row.parameters:,}", f"{100 * share:.2f} %", _seconds(row.seconds),
            f"{row.peak_bytes / 2**20:,.0f} MiB"]) + " |")
    return "\n".join(lines)


def standard_error(rows, reviews):
    """Of one accuracy, as a fraction, that the choice of so many test reviews alone leaves."""
    return math.sqrt(sum(r.mean * (1 - r.mean) for r in rows) / len(rows) / reviews)


def verdict(rows, reviews):
    """The sentence about the gap of Houlsby's adapters to full finetuning; "" while one of the two is missing."""
    by_key = {row.run.key: row for row in rows}
    houlsby, full = by_key.get("houlsby"), by_key.get("full")
    if not houlsby or not full:
        return ""
    gap = 100 * (full.mean - houlsby.mean)
    share = houlsby.parameters / full.parameters
    sentence = (f"Houlsby adapters are {abs(gap):.2f} points {'below' if gap > 0 else 'above'} full finetuning in mean "
                f"accuracy (seeds: {len(houlsby.accuracies)} and {len(full.accuracies)}) at {100 * share:.2f} % of its "
                f"parameters; ")
    bound = f"the bound of {GAP_POINTS:g} point at {100 * SHARE:g} %"
    if 100 * standard_error([houlsby, full], reviews) > GAP_POINTS:
        return sentence + f"{reviews:,} test reviews are too few to judge {bound}."
    return sentence + f"{bound} {'holds' if gap <= GAP_POINTS and share <= SHARE else 'does not hold'}."


def grid_table(all_runs, grid, seeds, results):
    """Validation accuracy of each run at each learning rate."""
    lines = ["| run | " + _cells([f"{rate:g}" for rate in sorted(grid)]) + " |",
             "|---|" + "---:|" * len(grid)]
    for run in all_runs:
        chosen = experiment.choose_learning_rate(results, run.key, grid, seeds[0])
        cells = []
        for rate in sorted(grid):
            trained = experiment.find(results, "train", run.key, rate, seeds[0])
            if not trained:
                cells.append("")
            elif trained[0]["validation_accuracy"] is None:
                cells.append("diverged")
            else:
                figure = _percent(trained[0]["validation_accuracy"])
                cells.append(f"**{figure}**" if rate == chosen else figure)
        lines.append(f"| {run.title} | " + _cells(cells) + " |")
    return "\n".join(lines)


def markdown(state, results, picture=None):
    """The whole report. state: settings, grid, seeds, runs, data, machine, commands and dates as run.py keeps them."""
    settings = experiment.Settings(**state["settings"])
    all_runs = [run for run in experiment.runs(settings) if run.key in state["runs"]]
    grid, seeds = state["grid"], state["seeds"]
    rows = experiment.rows(all_runs, grid, seeds, results)
    precisions = sorted({r["precision"] for r in results if r.get("precision")})
    whole = experiment.Settings()
    of_whole = "" if settings == whole else (
        f" (the whole experiment has {whole.train:,}/{whole.validation:,}/{whole.test:,} reviews, {whole.max_length} "
        f"tokens and {whole.epochs:g} epochs)")
    full = next((row for row in rows if row.run.key == "full"), None)
    jobs, tests = experiment.steps_in_all(all_runs, grid, seeds)
    done = experiment.count_done(all_runs, grid, seeds, results)
    complete = experiment.next_step(all_runs, grid, seeds, results) is None if rows else False
    parts = ["# The article's experiment", "",
             f"Reviews of the IMDB set, two labels, on the base {settings.base}: {settings.train:,} for training, "
             f"{settings.validation:,} for validation, {settings.test:,} for the test, half of them of either label, "
             f"copies of a review on one side ({state['data']['copies']:,} of {state['data']['reviews']:,} reviews are "
             f"copies). {settings.epochs:g} {'epoch' if settings.epochs == 1 else 'epochs'}, {settings.max_length} "
             f"tokens, batch {settings.batch_size}, AdamW, linear schedule after {100 * settings.warmup_ratio:g} % "
             f"warm-up, precision {' and '.join(precisions) or 'unknown'}. "
             f"The learning rate of each run is the one with the best validation accuracy at seed {seeds[0]}, from one "
             f"grid; test data is read only after that choice.", "",
             f"{'Complete' if complete else 'Not complete'}: {done[0]} of {jobs} trainings and {done[1]} of {tests} "
             f"tests were run, in the form `{state['form']}`"
             f"{of_whole}."]
    if rows:
        parts += ["", table(rows, full), ""]
        noise = standard_error(rows, settings.test)
        sources = sorted({source for row in rows for source in row.peak_sources})
        notes = [f"± is the standard deviation over seeds; besides, {settings.test:,} test reviews alone leave a "
                 f"standard error of about {100 * noise:.1f} points. Training time is the mean of the seeds, "
                 f"validation included. Peak memory is the greatest of the seeds: {' or '.join(sources)}, of a worker "
                 f"started for that job alone, with its base model and libraries."]
        if not full:
            notes[0] += " Shares are of the base's parameters, since full finetuning has not been run."
        if any(row.at_edge for row in rows):
            notes.append("\\* at the edge of the grid: a rate beyond it might do better.")
        if any(row.diverged for row in rows):
            notes += [f"{row.run.title}: {row.diverged} of the seeds diverged and are left out."
                      for row in rows if row.diverged]
        parts += ["\n\n".join(notes)]
        if verdict(rows, settings.test):
            parts += ["", verdict(rows, settings.test)]
        if picture:
            parts += ["", f"![Accuracy against trainable parameters]({picture})"]
    parts += ["", "## Validation accuracy by learning rate, %", "", grid_table(all_runs, grid, seeds, results), "",
              "## The runs", ""]
    for run in all_runs:
        fields = ", ".join(f"{name}={value}" for name, value in run.fields)
        parts.append(f"* {run.title}: `{run.method}`" + (f" with {fields}" if fields else ""))
    parts += ["", "The exact adapter stands as in the article: two of them a layer, without a skip connection and far "
              "from identity at the start, under a head that stays as it was drawn. Its weights start normal where the "
              "article's start uniform, at the same size of their product, and its biases at zero.", "",
              "## How it was run", "", f"* machine: {state['machine']}", f"* graft: {state['graft']}",
              f"* first result {state['first'] or 'none'}, last {state['last'] or 'none'}; "
              f"{_seconds(sum(r.get('wall_seconds', r['seconds']) for r in results))} of training and tests"]
    parts += [f"* command: `{command}`" for command in state["commands"]]
    return "\n".join(parts) + "\n"


def picture(state, results):
    """The SVG, or None while nothing is tested."""
    settings = experiment.Settings(**state["settings"])
    all_runs = [run for run in experiment.runs(settings) if run.key in state["runs"]]
    rows = experiment.rows(all_runs, state["grid"], state["seeds"], results)
    if not rows:
        return None
    points = [chart.Point(row.run.title, row.parameters, row.mean, row.spread,
                          row.accuracies if len(row.accuracies) > 1 else ()) for row in rows]
    seeds = max(len(row.accuracies) for row in rows)
    what = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    return chart.draw(points, "Accuracy against trainable parameters",
                      f"IMDB reviews on {settings.base}, {settings.train:,} for training; {what}, each seed a dot"
                      if seeds > 1 else f"IMDB reviews on {settings.base}, {settings.train:,} for training; {what}",
                      "Trainable parameters (logarithmic)", "Test accuracy, %")
