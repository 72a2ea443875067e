#include "common/otlp/exporter.h"

#include <future>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"

namespace graft::otlp {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A collector that answers as it is told, and remembers what it got.
class Collector {
 public:
  using Names = std::vector<std::string>;

  /// The answers to come, the last one again and again.
  void Answers(std::vector<Answer> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  /// Posts wait for Release, or until they are to end.
  void Hold() { held_ = true; }
  void Release() { held_ = false; }
  void Forget() {
    const std::lock_guard lock(mutex_);
    batches_.clear();
  }
  std::vector<Names> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  void AwaitBatches(size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 20s, [&] { return batches_.size() >= count; }));
  }

  Answer Post(const std::string& body, const std::function<bool()>& go_on) {
    Names names;
    const Json request = *ParseJson(body, "a batch");
    for (const Json& span : request["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"])
      names.push_back(span["name"]);
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back(std::move(names));
      if (!answers_.empty()) answer = answers_.front();
      if (answers_.size() > 1) answers_.erase(answers_.begin());
    }
    changed_.notify_all();
    while (held_ && go_on()) std::this_thread::yield();
    return go_on() || !held_ ? answer : Answer{.error = "ended"};
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Names> batches_;
  std::vector<Answer> answers_{{.status = 200, .body = "{}"}};
  std::atomic<bool> held_ = false;
};

class FakeTransport : public Transport {
 public:
  explicit FakeTransport(Collector& collector) : collector_(collector) {}
  Answer Post(const std::string& body, std::chrono::milliseconds,
              const std::function<bool()>& go_on) override {
    return collector_.Post(body, go_on);
  }

 private:
  Collector& collector_;
};

class ExporterTest : public ::testing::Test {
 protected:
  Exporter& Start(Exporter::Options options) {
    exporter_ = std::make_unique<Exporter>(options, Resource(),
                                           std::make_unique<FakeTransport>(collector_));
    return *exporter_;
  }
  void Take(const std::string& name) { exporter_->Take({.name = name}); }
  static Exporter::Options Quick() { return {.delay = 1ms, .patience = 20s, .first_pause = 1ms}; }

  Collector collector_;
  std::unique_ptr<Exporter> exporter_;
};

TEST_F(ExporterTest, AFullBatchGoesAtOnceAndTheRestAtTheEnd) {
  Start({.max_batch = 2, .delay = 1h});
  for (const char* name : {"a", "b", "c"}) Take(name);
  collector_.AwaitBatches(1);
  exporter_->Stop(20s);
  EXPECT_THAT(collector_.batches(), ElementsAre(ElementsAre("a", "b"), ElementsAre("c")));
  EXPECT_EQ(exporter_->counts().sent, 3);
  EXPECT_EQ(exporter_->counts().dropped, 0);
}

TEST_F(ExporterTest, WhatWaitsIsSentAfterTheDelay) {
  Start(Quick());
  Take("a");
  collector_.AwaitBatches(1);
}

TEST_F(ExporterTest, AFullQueueDropsAndCounts) {
  collector_.Hold();
  Start({.max_queue = 3, .max_batch = 1, .delay = 1ms});
  Take("under way");
  collector_.AwaitBatches(1);
  for (int i = 0; i < 10; ++i) Take(std::to_string(i));
  EXPECT_EQ(exporter_->counts().dropped, 7);
  collector_.Release();
  exporter_->Stop(20s);
  EXPECT_EQ(exporter_->counts().sent, 4);
}

TEST_F(ExporterTest, WhatMayPassIsTriedAgain) {
  collector_.Answers(
      {{.error = "refused"}, {.status = 503}, {.status = 429}, {.status = 200, .body = ""}});
  Start(Quick());
  Take("a");
  collector_.AwaitBatches(4);
  exporter_->Stop(20s);
  EXPECT_EQ(exporter_->counts().sent, 1);
  EXPECT_EQ(exporter_->counts().dropped, 0);
}

TEST_F(ExporterTest, WhatIsRefusedForGoodIsDropped) {
  collector_.Answers({{.status = 400, .body = "no"}, {.status = 200}});
  Start(Quick());
  Take("a");
  collector_.AwaitBatches(1);
  Take("b");
  exporter_->Stop(20s);
  EXPECT_EQ(exporter_->counts().sent, 1);
  EXPECT_EQ(exporter_->counts().dropped, 1);
}

TEST_F(ExporterTest, ABatchThatTakesTooLongIsGivenUpForTheNext) {
  for (const std::chrono::seconds asked :
       {std::chrono::seconds(3600), std::chrono::seconds::max()}) {
    collector_.Forget();
    collector_.Answers({{.status = 503, .retry_after = asked}, {.status = 200}});
    Start(Quick());
    Take("a");
    collector_.AwaitBatches(1);
    Take("b");
    collector_.AwaitBatches(2);
    exporter_->Stop(20s);
    EXPECT_THAT(collector_.batches(), ElementsAre(ElementsAre("a"), ElementsAre("b")));
    EXPECT_EQ(exporter_->counts().dropped, 1);
  }
}

TEST_F(ExporterTest, WithoutALimitABatchIsTriedUntilItArrives) {
  collector_.Answers({{.status = 503}, {.status = 503}, {.status = 200}});
  Start({.delay = 0ms, .patience = 0ms, .first_pause = 1ms});
  Take("a");
  collector_.AwaitBatches(3);
  exporter_->Stop(20s);
  EXPECT_EQ(exporter_->counts().sent, 1);
}

TEST_F(ExporterTest, SpansThatTheCollectorLeftOutAreDropped) {
  collector_.Answers({{.status = 200, .body = R"({"partialSuccess":{"rejectedSpans":"1"}})"}});
  Start({.max_batch = 2, .delay = 1h});
  Take("a");
  Take("b");
  collector_.AwaitBatches(1);
  exporter_->Stop(20s);
  EXPECT_EQ(exporter_->counts().sent, 1);
  EXPECT_EQ(exporter_->counts().dropped, 1);
}

TEST_F(ExporterTest, ACollectorThatHangsHoldsUpNobody) {
  collector_.Hold();
  Start(Quick());
  Take("a");
  collector_.AwaitBatches(1);
  Take("b");
  exporter_->Stop(1ms);
  EXPECT_EQ(exporter_->counts().dropped, 2);
  Take("late");
  EXPECT_EQ(exporter_->counts().dropped, 3);
}

TEST_F(ExporterTest, AnIdleOneSendsNothing) {
  Start(Quick());
  exporter_->Stop(20s);
  EXPECT_THAT(collector_.batches(), IsEmpty());
}

}  // namespace
}  // namespace graft::otlp
