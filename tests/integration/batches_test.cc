/// Short requests and promotions beside batches: real processes, 16 clients that send batches one
/// after the other. What is short is answered while hardly any batch is, in whatever order they
/// came.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "tests/integration/live_server.h"
#include "tests/support/lora_folder.h"

namespace graft {
namespace {

namespace v1 = graft::v1;
namespace fs = std::filesystem;
using client::Client;

constexpr int kClients = 16;
constexpr int kTries = 15;

class BatchesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("graft_batches_" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "bases");
    fs::copy(fs::path(GRAFT_SOURCE_DIR) / "tests/golden/data/base-bert",
             folder_ / "bases" / "bert");
    auto server =
        testing::LiveServer::Start(GRAFT_PROGRAMS_DIR, folder_ / "bases", folder_, {"--workers=1"});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    client_ = server_->Connect(/*max_attempts=*/5);
    for (const char* adapter : {"heavy", "light", "light"}) {
      v1::ImportAdapterRequest::Header header;
      header.set_base("bert");
      header.set_adapter(adapter);
      header.set_max_length(40);
      header.set_promote(true);
      for (const char* name : {"a", "b"}) header.add_label_names(name);
      const auto made = client_->Import(header, testing::ConstantLora(3, 48, 4, {1, -1}));
      ASSERT_TRUE(made.ok()) << made.status().ToString();
    }
  }
  void TearDown() override {
    stop_ = true;
    for (std::thread& heavy : heavies_) heavy.join();
    EXPECT_EQ(failed_, 0) << server_->Log();
    server_.reset();
    fs::remove_all(folder_);
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

  fs::path folder_;
  std::unique_ptr<testing::LiveServer> server_;
  std::unique_ptr<Client> client_;
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
