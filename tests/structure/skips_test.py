"""A skipped test passes only if the list names it with a reason."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import skips

RESULTS = """<testsuite tests="3">
  <testcase name="GpuTest.Runs/f32" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
  <testcase name="reference_test" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
  <testcase name="JsonTest.Reads" status="run"/>
</testsuite>"""


class SkipsTest(unittest.TestCase):
    def test_a_skip_without_a_line_is_a_fault(self):
        by_reason, unlisted = skips.judge(RESULTS, skips.read_allowed("# words\nGpuTest.* no GPU\n"))
        self.assertEqual({"no GPU": ["GpuTest.Runs/f32"]}, by_reason)
        self.assertEqual(["reference_test"], unlisted)

    def test_a_pattern_matches_whole_names(self):
        _, unlisted = skips.judge(RESULTS, skips.read_allowed("Gpu no GPU\nreference_test no oracle"))
        self.assertEqual(["GpuTest.Runs/f32"], unlisted)

    def test_a_line_without_a_reason_is_refused(self):
        with self.assertRaisesRegex(ValueError, "line 2: GpuTest has no reason"):
            skips.read_allowed("\nGpuTest\n")

    def test_the_projects_list_can_be_read(self):
        with open(os.path.join(os.path.dirname(HERE), "skips.txt"), encoding="utf-8") as file:
            self.assertTrue(skips.read_allowed(file.read()))


if __name__ == "__main__":
    unittest.main()
