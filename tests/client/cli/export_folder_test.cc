#include "client/cli/export_folder.h"

#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "client/cli/context.h"
#include "common/base/file.h"

extern char** environ;

namespace graft::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

/// The program itself, exporting from `server` into `folder`.
class Export {
 public:
  Export(const FakeServer& server, const fs::path& folder) {
    const std::string address = server.address(), path = folder;
    std::vector<const char*> words = {GRAFT_CLI, "--server",   address.c_str(), "export",
                                      "support", path.c_str(), "--force",       nullptr};
    EXPECT_EQ(
        ::posix_spawn(&pid_, words[0], nullptr, nullptr, const_cast<char**>(words.data()), environ),
        0);
  }
  void Signal(int signal) { ::kill(pid_, signal); }
  /// As waitpid tells it.
  int Wait() {
    int status = -1;
    ::waitpid(pid_, &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
};

class ExportFolderTest : public testing::Test {
 protected:
  /// Files and folders below `folder`.
  static std::set<std::string> Below(const fs::path& folder) {
    std::set<std::string> names;
    std::error_code error;  // One may go away meanwhile.
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      names.insert(it->path().lexically_relative(folder));
    }
    return names;
  }
  /// True once there is a file with bytes in `folder` under another name than an export's.
  static bool AwaitHalfAFile(const fs::path& folder) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < until) {
      for (const std::string& name : Below(folder)) {
        std::error_code error;
        const uintmax_t bytes = fs::file_size(folder / name, error);
        if (name.starts_with("adapter_config.json.tmp") && !error && bytes > 0) return true;
      }
      std::this_thread::yield();
    }
    return false;
  }

  FakeServer server_;
  TempFolder temp_ = std::move(TempFolder::Create()).value();
};

TEST_F(ExportFolderTest, AnInterruptedExportLeavesNothing) {
  server_.hold_exports = true;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const fs::path out = temp_.path() / "deep" / "below" / "out";
    Export run(server_, out);
    ASSERT_TRUE(AwaitHalfAFile(out));

    run.Signal(signal);

    const int status = run.Wait();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_THAT(Below(temp_.path()), IsEmpty());
  }
}

TEST_F(ExportFolderTest, AnInterruptedExportLeavesWhatWasThere) {
  server_.hold_exports = true;
  const fs::path out = temp_.path() / "out";
  ASSERT_TRUE(WriteFileDurably(out / "adapter_config.json", "mine").ok());
  Export run(server_, out);
  ASSERT_TRUE(AwaitHalfAFile(out));

  run.Signal(SIGINT);
  run.Wait();

  EXPECT_THAT(Below(out), ElementsAre("adapter_config.json"));
  EXPECT_EQ(*ReadFile(out / "adapter_config.json"), "mine");
}

TEST_F(ExportFolderTest, AnInterruptThatIsIgnoredDoesNotEndAnExport) {
  server_.hold_exports = true;
  const fs::path out = temp_.path() / "out";
  const auto before = ::signal(SIGINT, SIG_IGN);  // Inherited, as nohup does it with SIGHUP.
  Export run(server_, out);
  ::signal(SIGINT, before);
  ASSERT_TRUE(AwaitHalfAFile(out));

  run.Signal(SIGINT);
  server_.hold_exports = false;

  EXPECT_EQ(run.Wait(), 0);
  EXPECT_THAT(Below(out), ElementsAre("adapter_config.json"));
  EXPECT_EQ(*ReadFile(out / "adapter_config.json"), "{\"a\": 1}");
}

TEST_F(ExportFolderTest, ALimitOnTheSizeOfFilesIsAFullDisk) {
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{4, limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  Export run(server_, temp_.path() / "out");
  ::setrlimit(RLIMIT_FSIZE, &limit);

  const int status = run.Wait();

  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kNotWritten) << status;
  EXPECT_THAT(Below(temp_.path()), IsEmpty());
}

TEST_F(ExportFolderTest, WhatWouldBeReadWithAnExportIsInItsWay) {
  for (const char* other :
       {"adapter_config.json", "graft.json", "model-00001-of-00002.safetensors",
        "pytorch_model.bin", "model.safetensors.index.json", "generation_config.json",
        "tokenizer.json", "additional_chat_templates/tool_use.jinja"}) {
    const fs::path out = temp_.path() / fs::path(other).filename();
    ASSERT_TRUE(WriteFileDurably(out / other, "{}").ok());
    ASSERT_TRUE(WriteFileDurably(out / "config.json", "of an earlier export").ok());
    ExportFolder folder(out);
    ASSERT_TRUE(folder.Add("config.json", "{}").ok());
    ASSERT_TRUE(folder.Add("model.safetensors", "x").ok());

    const Status status = folder.Finish();

    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << other;
    EXPECT_THAT(status.message(), testing::HasSubstr("holds " + std::string(other)));
    EXPECT_TRUE(folder.has_failed());
    folder.Restart();
    EXPECT_THAT(Below(out), testing::IsSupersetOf({"config.json", other}));
    EXPECT_EQ(*ReadFile(out / "config.json"), "of an earlier export");
  }
}

TEST_F(ExportFolderTest, WhatNoReaderOfModelsLooksAtStays) {
  for (const char* other : {"README.md", ".gitattributes", "training_args.bin"})
    ASSERT_TRUE(WriteFileDurably(temp_.path() / other, "mine").ok());
  ExportFolder folder(temp_.path());
  ASSERT_TRUE(folder.Add("model.safetensors", "x").ok());

  EXPECT_TRUE(folder.Finish().ok());

  EXPECT_FALSE(folder.has_failed());
  EXPECT_THAT(Below(temp_.path()), testing::SizeIs(4));
}

TEST_F(ExportFolderTest, AnUnfinishedOneTakesAwayEveryFolderThatItMade) {
  fs::create_directory(temp_.path() / "mine");
  {
    ExportFolder folder(temp_.path() / "mine" / "deep" / "out");
    ASSERT_TRUE(folder.Add("additional_chat_templates/a.jinja", "{{ a }}").ok());
    EXPECT_THAT(Below(temp_.path() / "mine" / "deep"), testing::SizeIs(3));
  }

  EXPECT_THAT(Below(temp_.path()), ElementsAre("mine"));
}

TEST_F(ExportFolderTest, NothingComesBehindGivingUp) {
  ExportFolder folder(temp_.path() / "out");
  ASSERT_TRUE(folder.Add("config.json", "{").ok());

  folder.GiveUp();

  EXPECT_EQ(folder.Add("config.json", "}").code(), StatusCode::kCancelled);
  EXPECT_EQ(folder.Finish().code(), StatusCode::kCancelled);
  EXPECT_THAT(Below(temp_.path()), IsEmpty());
}

TEST_F(ExportFolderTest, AFinishedOneKeepsAllWhateverComesBehind) {
  ExportFolder folder(temp_.path() / "out");
  ASSERT_TRUE(folder.Add("config.json", "{}").ok());
  ASSERT_TRUE(folder.Finish().ok());

  folder.GiveUp();

  EXPECT_THAT(Below(temp_.path()), ElementsAre("out", "out/config.json"));
}

}  // namespace
}  // namespace graft::cli
