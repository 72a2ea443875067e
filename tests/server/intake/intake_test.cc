#include "server/intake/intake.h"

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../rpc/tiny_base.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "common/objects/memory_object_store.h"
#include "server/intake/uploads.h"

namespace graft::server::intake {
namespace {

class IntakeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
    MakeTinyBase(folder_->path() / "bases", "tiny");
    std::filesystem::create_directories(folder_->path() / "data");
    bases_.emplace(folder_->path() / "bases", folder_->path() / "cache");
    sources_.emplace(std::vector{folder_->path() / "data"}, objects_);
    intake_.emplace(*sources_, objects_);
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_->path() / "data" / name) << text;
    return "file://" + (folder_->path() / "data" / name).string();
  }
  StatusOr<Prepared> Prepare(const spec::JobSpec& spec, bool store, const StopFlag& stop = {}) {
    return intake_->Prepare("default", spec, **bases_->Find("tiny"), {{}, store, stop});
  }
  spec::JobSpec Spec(const std::string& train) {
    auto spec = spec::FromJson(Json{{"base", "tiny"},
                                    {"adapter", "a"},
                                    {"method", {{"lora", Json::object()}}},
                                    {"dataset", {{"train", train}}}});
    EXPECT_TRUE(spec.ok()) << spec.status();
    auto resolved = spec::Resolve(*spec, (*bases_->Find("tiny"))->layout);
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    return *resolved;
  }

  std::optional<TempFolder> folder_;
  objects::MemoryObjectStore objects_;
  std::optional<BaseCatalog> bases_;
  std::optional<DatasetSources> sources_;
  std::optional<Intake> intake_;
};

TEST_F(IntakeTest, IngestedFormIsStoredUnderItsHash) {
  const std::string uri = Write("t.csv", "text,label\ngood film,good\nbad film,bad\n");

  auto prepared = Prepare(Spec(uri), /*store=*/true);

  ASSERT_TRUE(prepared.ok()) << prepared.status();
  auto bytes = objects_.Get(objects::DatasetKey("default", prepared->dataset_sha256), 1 << 20);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(Sha256Hex(*bytes), prepared->dataset_sha256);
  auto dataset = datasets::Parse(*bytes);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.size(), 2U);
  EXPECT_EQ(prepared->facts.train_tokens, 2 * 4) << "[CLS] good film [SEP]";
}

TEST_F(IntakeTest, SameDataUnderAnotherNameHasTheSameHash) {
  auto csv = Prepare(Spec(Write("t.csv", "text,label\ngood,good\nbad,bad\n")), false);
  auto jsonl = Prepare(
      Spec(Write("t.jsonl",
                 "{\"label\":\"good\",\"text\":\"good\"}\n{\"text\":\"bad\",\"label\":\"bad\"}\n")),
      false);

  ASSERT_TRUE(csv.ok()) << csv.status();
  ASSERT_TRUE(jsonl.ok()) << jsonl.status();
  EXPECT_EQ(csv->dataset_sha256, jsonl->dataset_sha256);
}

TEST_F(IntakeTest, LongExamplesCountAsTruncated) {
  std::string text = "text,label\n";
  for (int i = 0; i < 3; ++i) {
    for (int w = 0; w < 100; ++w) text += "good ";
    text += std::string(i == 0 ? "bad" : "film") + "," + (i == 0 ? "bad" : "good") + "\n";
  }
  auto prepared = Prepare(Spec(Write("long.csv", text)), false);

  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->facts.truncated_examples, prepared->facts.train_examples);
  EXPECT_EQ(prepared->facts.train_tokens, prepared->facts.train_examples * 64);
}

TEST_F(IntakeTest, SettingsWithoutEffectAreToldBesideTheDatasDoubts) {
  spec::JobSpec spec = Spec(Write("t.csv", "text,label\ngood film,good\nbad film,bad\nbad,Bad\n"));
  spec.hyperparameters.warmup_steps = 1000;

  const auto prepared = Prepare(spec, false);

  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(prepared->warnings, testing::Contains(testing::HasSubstr("warmup_steps is 1000")));
  EXPECT_THAT(prepared->warnings, testing::Contains(testing::HasSubstr("\"bad\" (line 3)")));
}

TEST_F(IntakeTest, FaultsOfTheDataAreListed) {
  auto prepared = Prepare(Spec(Write("t.csv", "text,label\na,x\nb\nc,y\n")), true);

  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.status().code(), StatusCode::kInvalidArgument);
  ASSERT_FALSE(prepared.status().details().empty());
  EXPECT_EQ(prepared.status().details()[0].line, 3);
  EXPECT_THAT(*objects_.List("", "", 10), testing::IsEmpty());
}

TEST_F(IntakeTest, EvaluationDataTakesTheVersionsLabels) {
  spec::DatasetSpec dataset = Spec(Write("e.csv", "text,label\ngood,good\n")).dataset;

  auto sha256 =
      intake_->PrepareEvaluation("default", dataset, tasks::Classification({"bad", "good"}));
  ASSERT_TRUE(sha256.ok()) << sha256.status();
  auto stored = datasets::Parse(*objects_.Get(objects::DatasetKey("default", *sha256), 1 << 20));
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->train.at(0).label, 1);

  EXPECT_EQ(intake_->PrepareEvaluation("default", dataset, tasks::Classification({"x", "y"}))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
}

/// An upload without an end, whose reader loses interest after its second piece.
class EndlessUpload : public objects::MemoryObjectStore {
 public:
  explicit EndlessUpload(StopFlag stop) : stop_(std::move(stop)) {}
  StatusOr<std::string> ReadRange(const std::string&, uint64_t offset, uint64_t size) override {
    if (++pieces == 2) stop_.Set();
    std::string piece;
    while (piece.size() < size) piece += "good film,good\nbad film,bad\n";
    return offset == 0 ? "text,label\n" + piece : piece;
  }
  int pieces = 0;

 private:
  const StopFlag stop_;
};

TEST_F(IntakeTest, WorkThatNobodyWaitsForEndsAtItsNextRead) {
  const StopFlag stop;
  EndlessUpload endless(stop);
  const std::string sha256(64, 'a');
  ASSERT_TRUE(KeepUploadName(endless, "default", sha256, "train.csv", 1).ok());
  const DatasetSources sources({}, endless);
  const Intake intake(sources, endless);
  const spec::JobSpec spec = Spec("graft://datasets/" + sha256);

  const auto checked =
      intake.Check("default", spec.dataset, {.task = {}, .base = {}, .stop = stop});

  EXPECT_EQ(checked.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(endless.pieces, 2);
  EXPECT_EQ(
      intake.Prepare("default", spec, **bases_->Find("tiny"), {{}, true, stop}).status().code(),
      StatusCode::kCancelled);
  EXPECT_EQ(
      intake
          .PrepareEvaluation("default", spec.dataset, tasks::Classification({"bad", "good"}), stop)
          .status()
          .code(),
      StatusCode::kCancelled);
  EXPECT_EQ(endless.pieces, 2) << "nothing more was read";
}

TEST_F(IntakeTest, LargeDataIsCountedByASample) {
  datasets::IngestedDataset dataset;
  dataset.label_names = {"a", "b"};
  std::string text;
  for (int w = 0; w < 1000; ++w) text += "good film ";
  for (int i = 0; i < 2000; ++i) dataset.train.push_back({text, "", i % 2});
  auto tokenizer = tokenizers::LoadTokenizer(folder_->path() / "bases/tiny");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  const TokenCounts counts = CountTokens(dataset, **tokenizer, 64);

  EXPECT_EQ(counts.train, std::vector<int32_t>(2000, 64));
  EXPECT_EQ(counts.truncated_examples, 2000);
}

/// Holds uploads that never end while a test runs, as slow to read as from afar.
class EndlessStore : public objects::MemoryObjectStore {
 public:
  static constexpr int kMostReads = 500;

  StatusOr<std::string> ReadRange(const std::string& key, uint64_t offset,
                                  uint64_t length) override {
    constexpr std::string_view kHeader = "text,label\n", kRows = "good,good\nbad,bad\n";
    if (key != objects::UploadDataKey("default", kLong))
      return MemoryObjectStore::ReadRange(key, offset, length);
    std::unique_lock lock(mutex_);
    ++reads_;
    if (offset == 0) ++begun_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::milliseconds(10), [&] { return released_; });
    if (offset == 0) return std::string(kHeader);
    return std::string(released_ || reads_ > kMostReads ? std::string_view() : kRows);
  }
  void WaitUntilBegun(int readers) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= readers; });
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  bool TooManyReads() {
    const std::lock_guard lock(mutex_);
    return reads_ > kMostReads;
  }
  const std::string kLong = std::string(64, 'a');

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int reads_ = 0, begun_ = 0;
  bool released_ = false;
};

TEST_F(IntakeTest, AShortCheckEndsWhileLongOnesGoOn) {
  EndlessStore store;
  ASSERT_TRUE(KeepUploadName(store, "default", store.kLong, "long.csv", 1).ok());
  const DatasetSources sources({folder_->path() / "data"}, store);
  const Intake intake(sources, store);
  const std::string short_uri = Write("t.csv", "text,label\ngood,good\nbad,bad\n");
  spec::DatasetSpec long_data = Spec(short_uri).dataset, short_data = long_data;
  long_data.train = "graft://datasets/" + store.kLong;
  std::vector<std::thread> longs;
  for (int i = 0; i < Intake::kAtOnce; ++i)
    longs.emplace_back([&] { (void)intake.Check("default", long_data, {}); });
  store.WaitUntilBegun(Intake::kAtOnce);

  const auto report = intake.Check("default", short_data, {});

  EXPECT_FALSE(store.TooManyReads()) << "it waited until a long one had ended";
  store.Release();
  for (std::thread& one : longs) one.join();
  ASSERT_TRUE(report.ok()) << report.status();
}

}  // namespace
}  // namespace graft::server::intake
