#!/usr/bin/env python3
"""The pure parts of bench/article: the split, the choice of the learning rate, the order of steps, table, picture."""

import os
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "bench", "article"))

import chart  # noqa: E402
import experiment  # noqa: E402
import report  # noqa: E402
import split  # noqa: E402

GRID, SEEDS = (1e-4, 1e-3), (1, 2, 3)


def trained(run, rate, seed, accuracy, loss=0.5, parameters=1000, **more):
    return {"kind": "train", "run": run, "learning_rate": rate, "seed": seed, "validation_accuracy": accuracy,
            "validation_loss": loss, "trainable_parameters": parameters, "base_parameters": 20000, "seconds": 90.0,
            "peak_memory_bytes": 2**30, "peak_memory_source": "a worker's high-water", "precision": "bf16"} | more


def tested(run, rate, seed, accuracy):
    return {"kind": "test", "run": run, "learning_rate": rate, "seed": seed, "test_accuracy": accuracy,
            "test_examples": 10000, "seconds": 5.0}


def run_of(key):
    return next(run for run in experiment.runs(experiment.Settings()) if run.key == key)


class SplitTest(unittest.TestCase):
    def reviews(self):
        singles = [(f"Review number {i} about film {i * 7}.", i % 2) for i in range(300)]
        copies = [(f"Copied  words, <br /><br />say {i}!", i % 2) for i in range(30)]
        again = [(f"copied words say {i}", i % 2) for i in range(30)]
        return singles + copies + again

    def test_copies_are_on_one_side(self):
        reviews = self.reviews()
        counts = {"train": 200, "validation": 60, "test": 100}

        for seed in range(5):
            sides = split.split(reviews, counts, seed)

            where = {}
            for side, indices in sides.items():
                for index in indices:
                    where.setdefault(split.normalised(reviews[index][0]), set()).add(side)
            self.assertEqual([text for text, found in where.items() if len(found) > 1], [])
            self.assertEqual(sum(len(indices) for indices in sides.values()), 360)
            self.assertGreater(len({next(iter(found)) for text, found in where.items() if "copied" in text}), 1)

    def test_sides_are_disjoint_and_balanced(self):
        reviews = self.reviews()

        sides = split.split(reviews, {"train": 100, "validation": 40, "test": 60}, 3)

        self.assertEqual({side: len(set(i)) for side, i in sides.items()}, {"train": 100, "validation": 40, "test": 60})
        self.assertEqual(len({i for indices in sides.values() for i in indices}), 200)
        for indices in sides.values():
            self.assertEqual(2 * sum(reviews[i][1] for i in indices), len(indices))

    def test_seed_decides(self):
        reviews, counts = self.reviews(), {"train": 100, "validation": 40, "test": 60}

        self.assertEqual(split.split(reviews, counts, 1), split.split(reviews, counts, 1))
        self.assertNotEqual(split.split(reviews, counts, 1), split.split(reviews, counts, 2))

    def test_too_few_reviews_are_refused(self):
        with self.assertRaisesRegex(ValueError, "too few"):
            split.split(self.reviews(), {"train": 400, "validation": 40, "test": 60}, 1)
        with self.assertRaisesRegex(ValueError, "even"):
            split.split(self.reviews(), {"train": 101, "validation": 40, "test": 60}, 1)

    def test_files_hold_what_was_split(self):
        reviews = self.reviews()
        sides = split.split(reviews, {"train": 100, "validation": 40, "test": 60}, 1)
        with tempfile.TemporaryDirectory() as folder:
            paths, digests = split.write_sides(reviews, sides, folder)
            parts = split.write_parts(paths["test"], 25)

            with open(paths["test"], encoding="utf-8") as file:
                whole = file.read()
            pieces = []
            for part in parts:
                with open(part, encoding="utf-8") as file:
                    pieces.append(file.read())
        self.assertEqual([piece.count("\n") for piece in pieces], [25, 25, 10])
        self.assertEqual("".join(pieces), whole)
        self.assertEqual(len(set(digests.values())), 3)

    def test_reading_reviews(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "reviews.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write('review,sentiment\n"two\nlines, ""quoted""",1\nplain,0\n')
            self.assertEqual(split.read_reviews(path), [('two\nlines, "quoted"', 1), ("plain", 0)])
            with open(path, "a", encoding="utf-8") as file:
                file.write("bad,2\n")
            with self.assertRaisesRegex(ValueError, "0 or 1"):
                split.read_reviews(path)


class ChoiceTest(unittest.TestCase):
    def test_validation_alone_decides(self):
        results = [trained("full", 1e-4, 1, 0.90), trained("full", 1e-3, 1, 0.80),
                   tested("full", 1e-4, 1, 0.10), tested("full", 1e-3, 1, 0.99),
                   trained("full", 1e-3, 2, 0.99), trained("houlsby", 1e-3, 1, 0.99)]

        self.assertEqual(experiment.choose_learning_rate(results, "full", GRID, 1), 1e-4)

    def test_test_results_are_not_even_read(self):
        results = [trained("full", 1e-4, 1, 0.80), trained("full", 1e-3, 1, 0.90),
                   {"kind": "test", "run": "full", "learning_rate": 1e-4, "seed": 1}]

        self.assertEqual(experiment.choose_learning_rate(results, "full", GRID, 1), 1e-3)

    def test_no_choice_before_the_grid_is_done(self):
        self.assertIsNone(experiment.choose_learning_rate([trained("full", 1e-4, 1, 0.9)], "full", GRID, 1))

    def test_ties_go_to_the_lower_loss_then_the_lower_rate(self):
        results = [trained("full", 1e-4, 1, 0.9, loss=0.4), trained("full", 1e-3, 1, 0.9, loss=0.3)]
        self.assertEqual(experiment.choose_learning_rate(results, "full", GRID, 1), 1e-3)
        results[0]["validation_loss"] = 0.3
        self.assertEqual(experiment.choose_learning_rate(results, "full", GRID, 1), 1e-4)

    def test_diverged_rates_are_never_chosen(self):
        results = [trained("full", 1e-4, 1, 0.5), trained("full", 1e-3, 1, None)]
        self.assertEqual(experiment.choose_learning_rate(results, "full", GRID, 1), 1e-4)
        self.assertIsNone(experiment.choose_learning_rate([trained("full", r, 1, None) for r in GRID], "full", GRID, 1))


class StepsTest(unittest.TestCase):
    def walk(self, runs, results):
        """The steps up to the end, each answered with a made-up result; the second rate is the better one."""
        steps = []
        while (step := experiment.next_step(runs, GRID, SEEDS, results)) is not None:
            steps.append((step.kind, step.run.key, step.learning_rate, step.seed))
            accuracy = 0.5 + 100 * step.learning_rate
            results.append(trained(*steps[-1][1:], accuracy) if step.kind == "train" else
                           tested(*steps[-1][1:], accuracy))
            self.assertLess(len(steps), 100)
        return steps

    def test_grid_then_test_then_seeds_at_the_chosen_rate(self):
        runs = [run_of("full"), run_of("houlsby")]

        steps = self.walk(runs, [])

        self.assertEqual(steps, [
            ("train", "full", 1e-4, 1), ("train", "full", 1e-3, 1), ("test", "full", 1e-3, 1),
            ("train", "houlsby", 1e-4, 1), ("train", "houlsby", 1e-3, 1), ("test", "houlsby", 1e-3, 1),
            ("train", "full", 1e-3, 2), ("test", "full", 1e-3, 2),
            ("train", "houlsby", 1e-3, 2), ("test", "houlsby", 1e-3, 2),
            ("train", "full", 1e-3, 3), ("test", "full", 1e-3, 3),
            ("train", "houlsby", 1e-3, 3), ("test", "houlsby", 1e-3, 3)])
        jobs, tests = experiment.steps_in_all(runs, GRID, SEEDS)
        self.assertEqual((jobs, tests), (sum(s[0] == "train" for s in steps), sum(s[0] == "test" for s in steps)))

    def test_a_stop_anywhere_is_resumed_without_repeating(self):
        runs = [run_of("full"), run_of("houlsby")]
        results = []
        whole = self.walk(runs, results)

        for stop in range(len(results) + 1):
            self.assertEqual(self.walk(runs, results[:stop]), whole[stop:])

    def test_a_diverged_run_does_not_hold_up_the_others(self):
        results = [trained("full", rate, 1, None) for rate in GRID]

        steps = self.walk([run_of("full"), run_of("houlsby")], results)

        self.assertEqual({step[1] for step in steps}, {"houlsby"})

    def test_the_runs_are_the_articles(self):
        runs = {run.key: dict(run.fields) for run in experiment.runs(experiment.Settings())}

        self.assertEqual(list(runs), ["last-layers", "exact-adapter", "houlsby", "full", "adapters-full"])
        self.assertEqual((runs["exact-adapter"]["residual"], runs["exact-adapter"]["freeze_head"]), ("false", "true"))
        self.assertEqual(runs["adapters-full"]["unfreeze_base"], "true")


def made_up():
    """Results of all runs: two rates, three seeds."""
    results = []
    for key, parameters, accuracy in (("last-layers", 148610, 0.80), ("exact-adapter", 299904, 0.865),
                                      ("houlsby", 595970, 0.884), ("full", 22713986, 0.89),
                                      ("adapters-full", 23309186, 0.888)):
        for rate in GRID:
            results.append(trained(key, rate, 1, accuracy - (0.1 if rate == GRID[1] else 0), parameters=parameters))
        results += [trained(key, GRID[0], seed, accuracy, parameters=parameters) for seed in SEEDS[1:]]
        results += [tested(key, GRID[0], seed, accuracy + 0.004 * (seed - 2)) for seed in SEEDS]
    return results


def state(**changes):
    return {"settings": experiment.Settings().__dict__ | changes, "form": "full", "grid": list(GRID),
            "seeds": list(SEEDS), "runs": [run.key for run in experiment.runs(experiment.Settings())],
            "data": {"reviews": 50000, "copies": 424}, "machine": "a machine", "graft": "a build", "first": "then",
            "last": "now", "commands": ["bench/article/run.py --subset full"]}


class ReportTest(unittest.TestCase):
    def test_table(self):
        text = report.markdown(state(), made_up(), "article.svg")

        self.assertIn("| Houlsby adapters | 88.40 ± 0.40 | 3 | 88.40 | 0.0001* | 595,970 | 2.62 % | 90 s | 1,024 MiB |",
                      text)
        self.assertIn("| Full finetuning | 89.00 ± 0.40 | 3 | 89.00 | 0.0001* | 22,713,986 | 100.00 % |", text)
        self.assertIn("0.60 points below full finetuning", text)
        self.assertIn("at 4 % holds", text)
        self.assertIn("Complete: 20 of 20 trainings and 15 of 15 tests", text)
        self.assertIn("| Houlsby adapters | **88.40** | 78.40 |", text)
        self.assertIn("![Accuracy against trainable parameters](article.svg)", text)

    def test_a_gap_above_the_bound_is_said(self):
        results = [r | ({"test_accuracy": 0.80} if r["kind"] == "test" and r["run"] == "houlsby" else {})
                   for r in made_up()]

        self.assertIn("9.00 points below full finetuning", report.markdown(state(), results))
        self.assertIn("at 4 % does not hold", report.markdown(state(), results))

    def test_few_test_reviews_judge_nothing(self):
        text = report.markdown(state(test=600), made_up())

        self.assertIn("too few", text)
        self.assertNotIn("holds", text)

    def test_what_was_not_run_is_said(self):
        results = [r for r in made_up() if r["run"] in ("last-layers", "houlsby") and r["seed"] == 1]

        text = report.markdown(state(), results)

        self.assertIn("Not complete: 4 of 20 trainings and 2 of 15 tests", text)
        self.assertIn("| Houlsby adapters | 88.00 | 1 |", text)
        self.assertIn("since full finetuning has not been run", text)
        self.assertNotIn("holds", text)

    def test_nothing_run_yet_gives_no_table(self):
        self.assertIn("0 of 20 trainings", report.markdown(state(), []))
        self.assertIsNone(report.picture(state(), []))


class ChartTest(unittest.TestCase):
    def check(self, points):
        """The picture is XML, within its frame, and no label covers another, a point or an error bar."""
        text = chart.draw(points, "A title", "below", "x & more", "y, %")
        root = ElementTree.fromstring(text)
        labels = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
        for point in points:
            self.assertIn(point.label, labels)
        self.assertIn("x & more", labels)
        for x in re.findall(r' (?:cx|x|x1|x2)="([-0-9.]+)"', text):
            self.assertTrue(0 <= float(x) <= chart.WIDTH, x)
        for y in re.findall(r' (?:cy|y|y1|y2)="([-0-9.]+)"', text):
            self.assertTrue(0 <= float(y) <= chart.HEIGHT, y)

        scale = chart.Scale(points)
        places = chart.spread_out(points, scale)
        for i, x in enumerate(places):
            self.assertLess(abs(x - scale.x(points[i].x)), 12)
            self.assertTrue(all(abs(x - other) > 13 for other in places[:i]))
        boxes = chart.place_labels(points, places, scale, [(p.label, "88.4 ± 0.4 %, 1.23M") for p in points])
        for i, box in enumerate(boxes):
            self.assertGreaterEqual(box.left, chart.LEFT - 1)
            self.assertLessEqual(box.right, chart.WIDTH - chart.RIGHT + 1)
            for other in boxes[:i]:
                self.assertEqual(box.overlap(other), 0)
            for point, x in zip(points, places):
                error = point.error or 0
                mark = chart.Box(x - 6, scale.y(point.y + error) - 1, x + 6, scale.y(point.y - error) + 1)
                self.assertEqual(box.overlap(mark), 0)
        return text

    def test_the_articles_picture(self):
        text = report.picture(state(), made_up())
        ElementTree.fromstring(text)
        rows = experiment.rows(experiment.runs(experiment.Settings()), GRID, SEEDS, made_up())

        self.check([chart.Point(r.run.title, r.parameters, r.mean, r.spread, r.accuracies) for r in rows])

        self.assertIn("89.0 ± 0.4 %, 22.7M", text)

    def test_points_close_together(self):
        self.check([chart.Point("Last layers only", 148610, 0.50, 0.05), chart.Point("Adapters", 299904, 0.50, 0.01),
                    chart.Point("Houlsby adapters", 595970, 0.50, 0.03), chart.Point("Full finetuning", 22.7e6, 0.5, 0),
                    chart.Point("Adapters + full", 23.3e6, 0.5)])

    def test_a_single_point(self):
        self.check([chart.Point("Full <finetuning>", 22713986, 0.9)])

    def test_logarithmic_axis(self):
        scale = chart.Scale([chart.Point("a", 1e5, 0.5), chart.Point("b", 1e7, 0.6)])

        self.assertAlmostEqual(scale.x(1e6) - scale.x(1e5), scale.x(1e7) - scale.x(1e6), places=6)
        self.assertTrue({1e5, 1e6, 1e7} <= set(scale.x_ticks))

    def test_ticks_cover_the_range(self):
        for low, high in ((0.78, 0.91), (0.499, 0.501), (0.0, 1.0), (0.5, 0.5)):
            found = chart.ticks(low, high)
            self.assertTrue(found[0] <= low + 1e-9 and found[-1] >= high - 1e-9 and 2 <= len(found) <= 9, found)


if __name__ == "__main__":
    unittest.main()
