/// What earlier builds left in people's stores is taken up: tests/golden/stored/run holds a
/// checkpoint of EventfulJob and the version that the job became, as graft wrote them before there
/// were tasks. Never make them again.

#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/file.h"
#include "tests/worker/engine/engine_case.h"

namespace graft::worker::engine {
namespace {

using testing::EventfulJob;
using testing::MakeEngine;
using testing::Recorder;
using testing::RunJob;

const std::filesystem::path kRun = GRAFT_SOURCE_DIR "/tests/golden/stored/run";
constexpr const char* kVersion = "e94f5b3a2683b18cb05c69a282cd5a5f11f7976864a1bbaf526bffa73a64d596";

std::string Read(const std::filesystem::path& path) {
  const auto bytes = ReadFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : "";
}

TEST(StoredTest, AVersionKeepsItsNameAndProves) {
  const auto engine = MakeEngine();
  LoadRequest request;
  request.version = kVersion;
  request.base = "base-bert";
  request.prove = true;
  for (const auto& entry : std::filesystem::directory_iterator(kRun / "version"))
    request.files[entry.path().filename()] = Read(entry.path());
  ASSERT_EQ(request.files.size(), 3U);

  const auto loaded = engine->Load(request);

  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->proved);
}

TEST(StoredTest, ACheckpointIsResumedWhereItStands) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();

  const auto outcome =
      RunJob(*engine, EventfulJob(Read(kRun / "checkpoint.safetensors")), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(recorder->first_step, 5);
  // The first two were counted before the checkpoint was written, the others behind it.
  ASSERT_EQ(outcome->evaluations.size(), 8U);
  EXPECT_NEAR(outcome->evaluations[0].loss, 1.170686, 1e-6);
  EXPECT_NEAR(outcome->evaluations[0].metrics.at("accuracy"), 0.25, 1e-9);
  EXPECT_EQ(outcome->evaluations[0].labels.size(), 3U);
  EXPECT_NEAR(outcome->evaluations[3].loss, 0.953170, 2e-2) << "machines round differently";
  EXPECT_EQ(outcome->kept_step, 8);
}

}  // namespace
}  // namespace graft::worker::engine
