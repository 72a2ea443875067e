#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/artifacts/artifact.h"
#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {
namespace {

using testing::ElementsAre;
using testing::Key;

std::string HashOf(const Identity& identity, Files files) {
  return Seal(identity, TinyRecord(), files).sha256;
}

TEST(SealTest, AddsAManifestThatListsEveryOtherFile) {
  Files files = FolderOf(TinyIdentity());

  const Manifest manifest = Seal(TinyIdentity(), TinyRecord(), files);

  EXPECT_THAT(files, ElementsAre(Key("adapter_config.json"), Key(kWeights), Key("graft.json")));
  EXPECT_THAT(manifest.file_hashes, ElementsAre(Key("adapter_config.json"), Key(kWeights)));
  EXPECT_EQ(manifest.file_hashes.at(kWeights), Sha256Hex(files.at(kWeights)));
  const Json json = Json::parse(files.at("graft.json"));
  EXPECT_EQ(json["sha256"], manifest.sha256);
  EXPECT_EQ(json["files"].size(), 2u);
}

TEST(SealTest, TheHashIsWrittenDownHere) {
  // Versions in stores are named so.
  const Json identity = {{"base_fingerprint", Sha256Hex("base")},
                         {"method",
                          {{"lora",
                            {{"rank", 2},
                             {"alpha", 4.0},
                             {"dropout", 0.0},
                             {"rslora", false},
                             {"target_modules", {"query", "value"}}}}}},
                         {"label_names", {"neg", "pos"}},
                         {"max_length", 32},
                         {"tokenizer", Sha256Hex("tokenizer")},
                         {"precision", "fp32"}};
  const Json files = {{"a", Sha256Hex("1")}, {"b", Sha256Hex("2")}};

  EXPECT_EQ(HashOf(TinyIdentity(), {{"a", "1"}, {"b", "2"}}),
            Sha256Hex(Json{{"identity", identity}, {"files", files}}.dump()));
}

TEST(SealTest, TheHashIgnoresTheOrderThatFilesCameIn) {
  Files forward;
  forward.emplace("a.json", "{}");
  forward.emplace("b.json", "[]");
  Files backward;
  backward.emplace("b.json", "[]");
  backward.emplace("a.json", "{}");

  EXPECT_EQ(HashOf(TinyIdentity(), forward), HashOf(TinyIdentity(), backward));
}

TEST(SealTest, TheHashIgnoresWhatChangesNoAnswer) {
  Files files = FolderOf(TinyIdentity());
  const std::string original = HashOf(TinyIdentity(), files);

  for (const Record& record :
       {Record{.base = "renamed", .base_proved = false, .probe = {}, .job = {}},
        Record{.base = "tiny", .base_proved = true, .probe = {}, .job = {{"seconds", 99}}}}) {
    Files again = files;
    EXPECT_EQ(Seal(TinyIdentity(), record, again).sha256, original);
  }
}

TEST(SealTest, SealingAgainReplacesTheManifest) {
  Files files = Sealed();
  const Files once = files;

  Seal(TinyIdentity(), TinyRecord(), files);

  EXPECT_EQ(files, once);
}

TEST(SealTest, TheHashChangesWithEachFile) {
  const Files files = FolderOf(TinyIdentity());
  const std::string original = HashOf(TinyIdentity(), files);
  for (const auto& [name, bytes] : files) {
    Files changed = files;
    changed[name].back() = static_cast<char>(changed[name].back() ^ 1);
    EXPECT_NE(HashOf(TinyIdentity(), changed), original) << name;
    Files renamed = files;
    renamed.erase(name);
    EXPECT_NE(HashOf(TinyIdentity(), renamed), original) << name;
    renamed["x" + name] = bytes;
    EXPECT_NE(HashOf(TinyIdentity(), renamed), original) << name;
  }
}

TEST(SealTest, TheHashChangesWithAllThatChangesAnAnswer) {
  const Files files = FolderOf(TinyIdentity());
  const std::string original = HashOf(TinyIdentity(), files);
  const auto changed = [&](const std::function<void(Identity&)>& edit) {
    Identity identity = TinyIdentity();
    edit(identity);
    return HashOf(identity, files);
  };

  EXPECT_EQ(changed([](Identity&) {}), original);
  EXPECT_NE(changed([](Identity& i) { i.base_fingerprint = Sha256Hex("other"); }), original);
  EXPECT_NE(changed([](Identity& i) { i.task.label_names = {"pos", "neg"}; }), original);
  EXPECT_NE(changed([](Identity& i) { i.task.label_names = {"neg", "pos", "x"}; }), original);
  EXPECT_NE(changed([](Identity& i) { i.max_length = 33; }), original);
  EXPECT_NE(changed([](Identity& i) { i.tokenizer = Sha256Hex("other"); }), original);
  EXPECT_NE(changed([](Identity& i) { i.precision = "bf16"; }), original);
  EXPECT_NE(changed([](Identity& i) {
              i.method = Method("lora", {{"rank", 2}, {"alpha", 5}});
            }),
            original);
  EXPECT_NE(changed([](Identity& i) {
              i.method = Method("lora", {{"rank", 2}, {"rslora", true}});
            }),
            original);
  EXPECT_NE(changed([](Identity& i) { i.method = Method("bottleneck", {{"size", 4}}); }), original);
}

}  // namespace
}  // namespace graft::artifacts
