/// Short requests and promotions beside batches: real processes, 16 clients that send batches one
/// after the other. What is short is answered while hardly any batch is, in whatever order they
/// came.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "tests/integration/live_bert.h"

namespace graft {
namespace {

namespace v1 = graft::v1;
using client::Client;

constexpr int kClients = 16;
constexpr int kTries = 15;

class BatchesTest : public testing::LiveBertTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(LiveBertTest::SetUp());
    for (const char* adapter : {"heavy", "light", "light"}) {
      const auto made = Import(adapter, {1, -1}, /*promote=*/true);
      ASSERT_TRUE(made.ok()) << made.status().ToString();
    }
  }
  void TearDown() override {
    stop_ = true;
    for (std::thread& heavy : heavies_) heavy.join();
    EXPECT_EQ(failed_, 0) << server_->Log();
    LiveBertTest::TearDown();
  }

  static Status Classify(Client& client, const std::string& adapter, int texts, int words) {
    v1::ClassifyRequest request;
    request.set_adapter(adapter);
    std::string text;
    for (int i = 0; i < words; ++i) text += "w" + std::to_string(i) + " ";
    for (int i = 0; i < texts; ++i) request.add_inputs()->set_text(text);
    return client
        .Call(client.inference(), &v1::InferenceService::Stub::Classify, request,
              std::chrono::minutes(2))
        .status();
  }
  /// Sends batches from now on, and waits until some are answered.
  void StartHeavyClients() {
    for (int i = 0; i < kClients; ++i) {
      heavies_.emplace_back([this] {
        const std::unique_ptr<Client> client = server_->Connect();
        while (!stop_) {
          if (!Classify(*client, "heavy", 250, 60).ok()) ++failed_;
          ++batches_;
          batches_.notify_all();
        }
      });
    }
    for (int seen = 0; seen < kClients; seen = batches_) batches_.wait(seen);
  }
  /// How many batches are answered while `work` is, in the middle of so many tries.
  int BatchesMeanwhile(const std::function<Status(int)>& work) {
    std::vector<int> batches;
    for (int i = 0; i < kTries; ++i) {
      const int before = batches_;
      const Status status = work(i);
      EXPECT_TRUE(status.ok()) << status.ToString();
      batches.push_back(batches_ - before);
    }
    std::ranges::sort(batches);
    return batches[kTries / 2];
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> batches_{0}, failed_{0};
  std::vector<std::thread> heavies_;
};

TEST_F(BatchesTest, ShortRequestsAndPromotionsDontWaitForBatches) {
  StartHeavyClients();

  for (const char* adapter : {"light", "heavy"}) {
    EXPECT_LE(BatchesMeanwhile([&](int) { return Classify(*client_, adapter, 1, 3); }), 3)
        << adapter;
  }
  EXPECT_LE(BatchesMeanwhile([&](int i) {
              v1::SetAliasRequest request;
              request.set_adapter("adapters/light");
              request.set_version(std::to_string(1 + i % 2));
              return client_
                  ->Call(client_->adapters(), &v1::AdapterService::Stub::SetAlias, request)
                  .status();
            }),
            3);
}

}  // namespace
}  // namespace graft
