// Claims about serving beside batches, measured over real channels on real processes: while one
// client sends requests of 128 texts of 512 tokens, one after the other, a short request of
// another adapter, one of the same adapter, and a promotion are answered within two passes of 50 ms
// more than they take alone. Prints too how many texts a second are classified, short and long.
// Usage: batch_bench PROGRAMS_FOLDER BASES_FOLDER BASE [FOLDER [SECONDS]]
// BASE is a BERT that reads 512 tokens. Each of the three is measured for SECONDS (10), or until
// 100 are answered. Exit code 1 if a claim does not hold.

#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "bench/service/imports.h"
#include "bench/service/measures.h"
#include "tests/integration/live_server.h"

namespace {

namespace fs = std::filesystem;
namespace v1 = graft::v1;
using graft::bench::Claim;
using graft::bench::ImportLora;
using graft::bench::Milliseconds;
using graft::bench::Must;
using graft::bench::Print;
using graft::bench::Quantiles;
using graft::client::Client;
using graft::testing::LiveServer;

constexpr double kTwoPassesMs = 2 * 50;

/// Sends requests of `texts` equal texts of so many words; returns the texts per second.
class Sender {
 public:
  Sender(Client& client, const std::string& adapter, int texts, int words) : client_(client) {
    request_.set_adapter(adapter);
    std::string text;
    for (int i = 0; i < words; ++i) text += (i > 0 ? " " : "") + std::to_string(i % 10);
    for (int i = 0; i < texts; ++i) request_.add_inputs()->set_text(text);
  }
  void Send() {
    Must(client_.Call(client_.inference(), &v1::InferenceService::Stub::Classify, request_,
                      std::chrono::minutes(10)));
  }
  double TextsPerSecond(int times) {
    const double ms = Milliseconds([&] {
      for (int i = 0; i < times; ++i) Send();
    });
    return 1000.0 * times * request_.inputs_size() / ms;
  }

 private:
  Client& client_;
  v1::ClassifyRequest request_;
};

/// Sends a batch after the other while it lives.
class HeavyClient {
 public:
  HeavyClient(const LiveServer& server, const std::string& adapter) {
    client_ = server.Connect();
    thread_ = std::thread([this, adapter] {
      Sender sender(*client_, adapter, 128, 600);
      while (!stop_) sender.Send();
    });
  }
  ~HeavyClient() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::unique_ptr<Client> client_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void Promote(Client& client, const std::string& adapter, int version) {
  v1::SetAliasRequest request;
  request.set_adapter("adapters/" + adapter);
  request.set_version(std::to_string(version));
  Must(client.Call(client.adapters(), &v1::AdapterService::Stub::SetAlias, request,
                   std::chrono::minutes(10)));
}

/// Times `work` over and over, for so long.
std::vector<double> Repeat(double seconds, const std::function<void(int)>& work) {
  std::vector<double> ms;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (ms.size() < 100 && (ms.empty() || std::chrono::steady_clock::now() < end))
    ms.push_back(Milliseconds([&] { work(static_cast<int>(ms.size())); }));
  return ms;
}

bool MeasureBesideABatch(const LiveServer& server, double seconds) {
  const auto client = server.Connect();
  struct Case {
    const char* what;
    std::function<void(int)> work;
  };
  Sender other(*client, "light", 1, 5), same(*client, "heavy", 1, 5);
  const std::vector<Case> cases = {
      {"a short text, another adapter", [&](int) { other.Send(); }},
      {"a short text, the same adapter", [&](int) { same.Send(); }},
      {"a promotion", [&](int i) { Promote(*client, "light", 1 + i % 2); }}};
  bool holds = true;
  for (const Case& c : cases) {
    const Quantiles alone = Print(c.what, Repeat(seconds, c.work));
    const HeavyClient heavy(server, "heavy");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // The batch has begun.
    const Quantiles beside = Print("  beside a batch", Repeat(seconds, c.work));
    holds &=
        Claim(beside.p50 <= alone.p50 + kTwoPassesMs, "p50 %.1f ms <= alone + two passes = %.1f",
              beside.p50, alone.p50 + kTwoPassesMs);
  }
  return holds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: batch_bench PROGRAMS_FOLDER BASES_FOLDER BASE [FOLDER [SECONDS]]\n");
    return 2;
  }
  const fs::path bases = fs::absolute(argv[2]);
  const fs::path folder =
      argc > 4 ? fs::absolute(argv[4])
               : fs::temp_directory_path() / ("graft_batch_bench_" + std::to_string(::getpid()));
  const double seconds = argc > 5 ? std::atof(argv[5]) : 10;
  fs::create_directories(folder);
  bool holds = false;
  {
    const auto server =
        Must(LiveServer::Start(fs::absolute(argv[1]), bases, folder, {"--workers=1"}));
    const auto client = server->Connect(/*max_attempts=*/5);
    for (const char* adapter : {"heavy", "light", "light"})
      ImportLora(*client, bases / argv[3], {.adapter = adapter, .max_length = 512});
    Sender(*client, "heavy", 256, 20).TextsPerSecond(1);
    std::printf("256 short texts a request: %.0f texts/s\n",
                Sender(*client, "heavy", 256, 20).TextsPerSecond(5));
    std::printf("16 short texts a request: %.0f texts/s\n",
                Sender(*client, "heavy", 16, 20).TextsPerSecond(40));
    std::printf("128 texts of 512 tokens a request: %.1f texts/s\n",
                Sender(*client, "heavy", 128, 600).TextsPerSecond(1));
    holds = MeasureBesideABatch(*server, seconds);
  }
  fs::remove_all(folder);
  return holds ? 0 : 1;
}
