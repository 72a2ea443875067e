// Layouts against checkpoints that transformers wrote: the goldens' tiny ones, and MiniLM where the
// set-up has installed it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/families/layout.h"
#include "common/safetensors/safetensors.h"

namespace graft::families {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// What the checkpoint in `folder` holds, by name. Without buffers, which are no weights.
Shapes Checkpoint(const std::filesystem::path& folder) {
  const auto file = safetensors::File::Open(folder / "model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  Shapes shapes;
  if (!file.ok()) return shapes;
  for (const safetensors::TensorInfo& tensor : (*file)->tensors()) {
    if (!tensor.name.ends_with(".position_ids")) shapes[tensor.name] = tensor.shape;
  }
  return shapes;
}

Layout Read(const std::filesystem::path& folder, const Shapes& checkpoint) {
  const auto config = ReadFile(folder / "config.json");
  EXPECT_TRUE(config.ok()) << config.status();
  std::vector<std::string> names;
  for (const auto& [name, shape] : checkpoint) names.push_back(name);
  const auto layout = ReadLayout(config.ok() ? *config : "", names);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return layout.ok() ? *layout : Layout{};
}

Shapes ShapesOf(const Layout& layout) {
  Shapes shapes;
  for (const TensorShape& tensor : layout.tensors) shapes[tensor.name] = tensor.shape;
  return shapes;
}

class GoldenBaseTest : public testing::TestWithParam<const char*> {};

TEST_P(GoldenBaseTest, TheLayoutIsTheCheckpoint) {
  const auto folder = std::filesystem::path(GRAFT_SOURCE_DIR "/tests/golden/data") / GetParam();
  const Shapes checkpoint = Checkpoint(folder);

  const Layout layout = Read(folder, checkpoint);

  ASSERT_FALSE(checkpoint.empty());
  EXPECT_EQ(ShapesOf(layout), checkpoint);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenBaseTest, testing::Values("base-bert", "base-distilbert"),
                         [](const auto& family) {
                           return std::string(family.param) == "base-bert" ? "bert" : "distilbert";
                         });

TEST(RealBaseTest, TheLayoutIsMiniLmsCheckpoint) {
  const char* cache = std::getenv("GRAFT_CACHE");
  const char* home = std::getenv("HOME");
  const std::filesystem::path root = cache != nullptr ? std::filesystem::path(cache)
                                     : home != nullptr
                                         ? std::filesystem::path(home) / ".cache/graft"
                                         : std::filesystem::path();
  const auto folder = root / "bases/minilm";
  if (!std::filesystem::exists(folder / "model.safetensors")) {
    GTEST_SKIP() << "there is no MiniLM at " << folder << "; scripts/setup.sh puts it there";
  }
  // This checkpoint is of the bare BertModel, whose names lack the prefix.
  Shapes checkpoint;
  for (const auto& [name, shape] : Checkpoint(folder)) checkpoint["bert." + name] = shape;

  const Layout layout = Read(folder, checkpoint);

  EXPECT_EQ(ShapesOf(layout), checkpoint);
  EXPECT_EQ(layout.ParameterCount(), 22'713'216);
}

}  // namespace
}  // namespace graft::families
