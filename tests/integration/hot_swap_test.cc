/// Promotion under load: real processes, 16 clients, 50 promotions. No request fails, each answer
/// is its named version's own, and a request that began after a promotion was confirmed names that
/// version or a newer one.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/integration/live_bert.h"

namespace graft {
namespace {

namespace v1 = graft::v1;
using client::Client;

constexpr int kClients = 16;
constexpr int kPromotions = 50;
constexpr int kRequests = 1000;

/// Far apart between any two versions.
std::vector<float> Logits(int version) {
  const auto v = static_cast<float>(version);
  return {10 * v, -5 * v, 1 + v};
}

class HotSwapTest : public testing::LiveBertTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(LiveBertTest::SetUp());
    for (int version = 1; version <= kPromotions + 1; ++version) {
      const auto made = Import("swap", Logits(version), /*promote=*/version == 1);
      ASSERT_TRUE(made.ok()) << made.status().ToString();
      ASSERT_EQ(made->name(), "adapters/swap/versions/" + std::to_string(version));
    }
  }

  static StatusOr<v1::ClassifyResponse> Classify(Client& client, const std::string& adapter,
                                                 int number) {
    v1::ClassifyRequest request;
    request.set_adapter(adapter);
    request.set_return_logits(true);
    request.add_inputs()->set_text("w" + std::to_string(number % 92) + " w3 w5");
    return client.Call(client.inference(), &v1::InferenceService::Stub::Classify, request);
  }

  Status Promote(int version) {
    v1::SetAliasRequest request;
    request.set_adapter("adapters/swap");
    request.set_version(std::to_string(version));
    return client_->Call(client_->adapters(), &v1::AdapterService::Stub::SetAlias, request)
        .status();
  }
};

int VersionOf(const v1::ClassifyResponse& response) {
  const std::string& name = response.provenance().adapter_version();
  return std::stoi(name.substr(name.rfind('/') + 1));
}

TEST_F(HotSwapTest, NoRequestFailsAndEachAnswerIsItsVersionsOwn) {
  // Offline: what a version answers when nothing else happens.
  std::vector<std::vector<float>> offline(kPromotions + 2);
  for (int version = 1; version <= kPromotions + 1; ++version) {
    const auto answer = Classify(*client_, "swap@" + std::to_string(version), version);
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    const auto& logits = answer->predictions(0).logits();
    offline[version].assign(logits.begin(), logits.end());
    for (size_t i = 0; i < 3; ++i) ASSERT_NEAR(offline[version][i], Logits(version)[i], 1e-3);
  }

  std::mutex mutex;
  std::condition_variable progress;
  int begun = 0;
  int answered = 0;
  int promoted = 1;
  std::vector<std::string> failures;
  std::array<int, kPromotions + 2> answers_of{};

  const auto ask = [&] {
    const std::unique_ptr<Client> client = server_->Connect();
    for (;;) {
      int number = 0;
      int floor = 0;
      {
        const std::lock_guard lock(mutex);
        // Some requests after the last promotion, too.
        if (begun >= kRequests && promoted == kPromotions + 1 && answers_of[kPromotions + 1] > 0)
          return;
        if (!failures.empty()) return;
        number = begun++;
        floor = promoted;
      }
      const auto answer = Classify(*client, "swap", number);
      const std::lock_guard lock(mutex);
      if (!answer.ok()) {
        failures.push_back(answer.status().ToString());
      } else {
        const int version = VersionOf(*answer);
        const auto& logits = answer->predictions(0).logits();
        if (version < floor) {
          failures.push_back("version " + std::to_string(version) + " after " +
                             std::to_string(floor) + " was live");
        }
        if (!std::equal(logits.begin(), logits.end(), offline[version].begin(),
                        offline[version].end())) {
          failures.push_back("version " + std::to_string(version) +
                             " answered otherwise than offline");
        }
        ++answers_of[version];
      }
      ++answered;
      progress.notify_all();
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(ask);

  Status status;
  for (int next = 2; next <= kPromotions + 1 && status.ok(); ++next) {
    {
      std::unique_lock lock(mutex);
      progress.wait(lock, [&] {
        return answered >= (next - 1) * kRequests / (kPromotions + 1) || !failures.empty();
      });
      if (!failures.empty()) break;
    }
    status = Promote(next);
    const std::lock_guard lock(mutex);
    promoted = next;
    if (!status.ok()) failures.push_back(status.ToString());
  }
  for (std::thread& client : clients) client.join();

  EXPECT_TRUE(failures.empty()) << failures.size() << " failures, first: " << failures.front()
                                << "\n"
                                << server_->Log();
  EXPECT_GE(answered, kRequests);
  int versions_seen = 0;
  for (const int count : answers_of) versions_seen += count > 0 ? 1 : 0;
  // Promotions and requests really overlapped.
  EXPECT_GE(versions_seen, kPromotions / 2);
  std::printf("%d requests of %d clients across %d promotions, answered by %d versions\n", answered,
              kClients, kPromotions, versions_seen);
}

}  // namespace
}  // namespace graft
