"""Holds the structure of the sources: layers, sizes, headers, words, and that every test is run.

Usage: structure_test.py --source DIR [--build DIR]. With --build also what the build registers, for a build of all.
The fixtures prove for each check that it can fail.
"""

import argparse
import glob
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True

import checks
import layers

OPTIONS = None


class ProjectTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = checks.read_tree(OPTIONS.source)

    def expect_none(self, faults):
        self.assertEqual([], faults, "\n" + "\n".join(faults))

    def test_tree_was_read(self):
        self.assertIn("CMakeLists.txt", self.tree)
        self.assertIn("common/base/status.h", self.tree)

    def test_layers_form_no_circle(self):
        self.expect_none(checks.check_table(layers.LAYERS))

    def test_includes_follow_the_arrows(self):
        self.expect_none(checks.check_includes(self.tree))

    def test_links_follow_the_arrows(self):
        self.expect_none(checks.check_links(self.tree))

    def test_no_file_is_too_long(self):
        self.expect_none(checks.check_sizes(self.tree))

    def test_headers_carry_the_contract(self):
        self.expect_none(checks.check_headers(self.tree))

    def test_environment_is_read_in_main_only(self):
        self.expect_none(checks.check_environment(self.tree))

    def test_threads_begin_behind_the_wall(self):
        self.expect_none(checks.check_threads(self.tree))

    def test_messages_show_text_through_one_function(self):
        self.expect_none(checks.check_messages(self.tree))

    def test_only_families_know_their_names(self):
        self.expect_none(checks.check_family_names(self.tree))

    def test_no_banned_words(self):
        self.expect_none(checks.check_words(self.tree))

    def test_every_test_is_run(self):
        if not OPTIONS.build:
            self.skipTest("this build leaves parts out (GRAFT_BUILD_SERVICES or GRAFT_BUILD_ENGINE is off)")
        self.expect_none(checks.check_tests_registered(self.tree, *read_build(OPTIONS.source, OPTIONS.build)))


def read_build(source, build):
    """What the build compiles, {source path: program}, and the text of ctest's files."""
    compiled = {}
    with open(os.path.join(build, "compile_commands.json")) as file:
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), source)
            program = entry.get("output", "").partition("CMakeFiles/")[2].partition(".dir/")[0]
            compiled[path] = program
    registered = []
    for name in glob.glob(os.path.join(glob.escape(build), "**", "CTestTestfile.cmake"), recursive=True):
        with open(name) as file:
            registered.append(file.read())
    return compiled, "\n".join(registered)


GOOD = {
    "common/base/a.h": "#pragma once\n/// A.\n#include <string>\n",
    "server/core/jobs.h": '#pragma once\n/// Jobs.\n#include "common/base/a.h"\n',
    "server/core/jobs.cc": '#include "server/core/jobs.h"\n',
    "server/service/jobs.cc": '#include "server/core/jobs.h"\n#include "graft/v1/job.pb.h"\n',
    "server/rpc/service.cc": '#include "graft/v1/job.pb.h"\n#include <grpcpp/server.h>\n',
    "worker/engine/engine.h": "#pragma once\n/// Engine, plain.\n",
    "worker/engine/engine_impl.h": "#pragma once\n/// Tensors.\n#include <ATen/core/Tensor.h>\n",
    "worker/agent/agent.cc": '#include "worker/engine/engine.h"\n#include <grpcpp/channel.h>\n',
    "server/core/CMakeLists.txt": "graft_library(NAME core FILES jobs.cc PUBLIC graft::base)\n",
    "server/rpc/CMakeLists.txt": "graft_library(NAME rpc FILES service.cc PUBLIC gRPC::grpc++)\n",
    "common/base/CMakeLists.txt": "graft_library(NAME base FILES a.cc PUBLIC nlohmann_json::nlohmann_json)\n",
}


class FixtureTest(unittest.TestCase):
    """A small tree that passes, and one fault at a time that must be told."""

    def expect(self, check, *parts, **changed):
        faults = check({**GOOD, **changed.get("files", {})})
        self.assertEqual(1, len(faults), faults)
        for part in parts:
            self.assertIn(part, faults[0])

    def test_good_tree_passes(self):
        for check in (checks.check_includes, checks.check_links, checks.check_sizes, checks.check_headers,
                      checks.check_environment, checks.check_threads, checks.check_messages, checks.check_family_names,
                      checks.check_words):
            self.assertEqual([], check(GOOD), check.__name__)

    def test_forbidden_library_in_each_layer(self):
        cases = {
            "common": ("grpcpp/server.h", "google/protobuf/message.h", "torch/torch.h", "prometheus/counter.h",
                       "boost/asio.hpp", "spdlog/spdlog.h"),
            "server/core": ("grpcpp/server.h", "google/protobuf/message.h", "boost/asio.hpp", "sqlite3.h", "torch/all.h",
                            "prometheus/counter.h", "spdlog/spdlog.h"),
            "server/stores": ("grpcpp/server.h", "torch/torch.h", "prometheus/counter.h"),
            "server/supervisor": ("grpcpp/server.h", "torch/torch.h", "sqlite3.h"),
            "server/calls": ("grpcpp/server.h", "google/protobuf/message.h", "torch/torch.h"),
            "server/service": ("grpcpp/server.h", "graft/v1/job.grpc.pb.h", "torch/torch.h", "sqlite3.h"),
            "server/rpc": ("torch/torch.h", "sqlite3.h", "prometheus/counter.h", "CLI/CLI.hpp"),
            "worker/engine": ("grpcpp/server.h", "google/protobuf/message.h", "boost/asio.hpp", "spdlog/spdlog.h"),
            "worker/agent": ("torch/torch.h", "ATen/ATen.h", "c10/util/Exception.h", "prometheus/counter.h"),
            "client/lib": ("torch/torch.h", "boost/asio.hpp", "CLI/CLI.hpp"),
        }
        for layer, headers in cases.items():
            for header in headers:
                with self.subTest(layer=layer, header=header):
                    self.expect(checks.check_includes, "may not use", header,
                                files={layer + "/x.cc": f"#include <{header}>\n"})

    def test_forbidden_folder_in_each_layer(self):
        cases = (("common", "server/core/jobs.h"), ("server/core", "graft/v1/job.pb.h"),
                 ("server/core", "server/rpc/x.h"), ("server/calls", "graft/v1/job.pb.h"), ("server/calls", "server/service/x.h"),
                 ("server/service", "server/rpc/x.h"), ("server/background", "server/service/x.h"), ("server/stores", "server/rpc/x.h"),
                 ("server/rpc", "server/stores/x.h"), ("server/rpc", "worker/engine/engine.h"),
                 ("worker/engine", "server/core/jobs.h"), ("worker/agent", "server/core/jobs.h"),
                 ("worker/engine", "worker/agent/x.h"), ("client/lib", "server/core/jobs.h"),
                 ("client/lib", "worker/engine/engine.h"), ("client/lib", "client/cli/x.h"),
                 ("server/app", "tests/support/x.h"), ("server/app", "bench/x.h"))
        for layer, header in cases:
            with self.subTest(layer=layer, header=header):
                faults = checks.check_includes({**GOOD, layer + "/x.cc": f'  # include "{header}"\n'})
                self.assertTrue(any(f"may not include {header}" in fault for fault in faults), faults)

    def test_library_through_a_header(self):
        self.expect(checks.check_includes, "worker/agent may not use torch", "worker/engine/engine_impl.h",
                    files={"worker/agent/x.cc": '#include "worker/engine/engine_impl.h"\n'})

    def test_folder_that_is_no_layer(self):
        self.expect(checks.check_includes, "its folder is no layer", files={"sidecar/x.cc": "int x;\n"})

    def test_forbidden_links(self):
        self.expect(checks.check_links, "server/core may not link gRPC::grpc++", files={
            "server/core/CMakeLists.txt": "graft_library(NAME core FILES a.cc PRIVATE gRPC::grpc++)\n"})
        self.expect(checks.check_links, "may not link graft::rpc", files={
            "server/core/CMakeLists.txt": "graft_library(NAME core FILES a.cc)\n"
                                          "target_link_libraries(graft_core PUBLIC graft::rpc)\n"})

    def test_circle_of_layers(self):
        table = {"a": layers.Layer("b"), "b": layers.Layer("c"), "c": layers.Layer("a")}
        self.assertEqual(["a circle of layers: a -> b -> c -> a"], checks.check_table(table))

    def test_long_file(self):
        text = "int x;\n" * (checks.MAX_LINES + 1)
        self.expect(checks.check_sizes, "more than", files={"common/base/long.cc": text})
        self.assertEqual([], checks.check_sizes({"common/base/table.cc": "// Generated by tables.py\n" + text}))

    def test_headers(self):
        self.expect(checks.check_headers, "no #pragma once", files={"common/base/b.h": "/// B.\n"})
        self.expect(checks.check_headers, "no /// contract", files={"common/base/b.h": "#pragma once\n"})

    def test_environment(self):
        text = 'const char* x = std::getenv("X");\n'
        self.expect(checks.check_environment, "reads the environment", files={"server/core/x.cc": text})
        self.assertEqual([], checks.check_environment({"server/app/main.cc": text, "tests/support/x.h": text}))

    def test_threads_without_the_wall(self):
        for text in ("thread_ = std::thread([this] { Run(); });", "std::thread t([] {});", "std::thread worker{Run};",
                     "std::jthread t;", "auto f = std::async(Run);", "pthread_create(&t, 0, Run, 0);",
                     "std::vector<std::thread> ts; ts.emplace_back([] {});",
                     "std::thread thread_;\n  C() : thread_([this] { Run(); }) {}"):
            with self.subTest(text=text):
                self.expect(checks.check_threads, "StartThread", files={"server/core/x.cc": text})
        for text in ("std::thread thread_;", "std::thread StartThread(std::function<void()> body);",
                     "std::this_thread::sleep_until(x);", "list.emplace_back([] {});",
                     "for (std::thread& thread : threads_) thread.join();"):
            with self.subTest(text=text):
                self.assertEqual([], checks.check_threads({"server/core/x.cc": text}))
        self.assertEqual([], checks.check_threads({"tests/x.cc": "std::thread t([] {});"}))

    def test_messages(self):
        for code in (r'Fail("no base named \"" + id + "\"");', r'Fail("\"" + id);', r'Fail(id + "\" is none");',
                     r'fmt::format("\"{}\" is none", id);', "Fail(id.substr(0, 80));", "Fail(id.substr( 0, 128 ));"):
            with self.subTest(code=code):
                faults = checks.check_messages({**GOOD, "server/core/x.cc": "int x;\n" + code + "\n"})
                self.assertTrue(faults and all(fault.startswith("server/core/x.cc:2: text ") for fault in faults), faults)
        for code in (r'Fail("name it \"latest\" or so");', "Show(sha256.substr(0, 12));", "Fail(Quoted(id, 80));"):
            with self.subTest(code=code):
                self.assertEqual([], checks.check_messages({**GOOD, "server/core/x.cc": code}))

    def test_names_of_families(self):
        for code in ('if (family == "bert") {}', 'name.find(".embeddings.")', 'path.ends_with("LayerNorm.weight");',
                     'x = "DistilBertAdapterModel";', 'Is("q_proj")', 'f("a \\"b\\" self.query")'):
            with self.subTest(code=code):
                self.expect(checks.check_family_names, "server/core/x.cc:2", files={"server/core/x.cc": "//\n" + code})
                self.assertEqual([], checks.check_family_names({"common/families/x.cc": code}))
        for code in ('// "bert" is one', 'Layout l;  ///< "bert"', '"sentence_bert_config.json"', '"use_pooler"',
                     '#include "server/stores/job_query.h"'):
            with self.subTest(code=code):
                self.assertEqual([], checks.check_family_names({"server/core/x.cc": code}))

    def test_banned_words(self):
        for text in ("/ro" + "ot/x", 'open("/wo' + 'rk/main")', "https://py" + "pi.org/simple", "// TO" + "DO: later",
                     "see issu" + "e 12", "(#" + "12)", "TEST(A, DISAB" + "LED_B)"):
            with self.subTest(text=text):
                self.expect(checks.check_words, "docs/x.md:2", files={"docs/x.md": "fine\n" + text + "\n"})
        for text in ("<data>/work/x", "the root/ folder", "#pragma", "#1f77b4", "color: #123;"):
            with self.subTest(text=text):
                self.assertEqual([], checks.check_words({"docs/x.md": text}))

    def test_test_that_is_not_run(self):
        tree = {"tests/common/base/a_test.cc": "", "tests/structure/b_test.py": ""}
        registered = 'include("a_test[1]_include.cmake")\nadd_test(b "python3" "b_test.py")'

        self.assertEqual([], checks.check_tests_registered(tree, {"tests/common/base/a_test.cc": "a_test"}, registered))
        self.assertEqual(["tests/common/base/a_test.cc: not in any graft_test(FILES ...)"],
                         checks.check_tests_registered(tree, {}, registered))
        self.assertEqual(2, len(checks.check_tests_registered(tree, {"tests/common/base/a_test.cc": "a_test"}, "")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--build")
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0]] + rest)
