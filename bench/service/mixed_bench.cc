// The claim that many adapters cost a batch little: 64 requests in flight, each of an adapter of
// its own, against the same requests of one adapter, in turns over real channels and processes.
// Usage: mixed_bench PROGRAMS_FOLDER BASES_FOLDER BASE [ROUNDS [REQUESTS]]
// BASE is a BERT; a round sends REQUESTS (1024) of one text each way. Prints the texts/s of each
// and the median of the rounds' ratios. Exit code 1 if it is below 0.93.

#include <unistd.h>

#include <algorithm>
#include <atomic>
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
using graft::client::Client;
using graft::testing::LiveServer;

constexpr int kInFlight = 64;
constexpr double kLeastRatio = 0.93;

std::string Name(int adapter) { return "mixed-" + std::to_string(adapter); }

/// Sends so many requests, 64 at a time, of as many adapters; returns the texts per second.
double TextsPerSecond(const std::vector<std::unique_ptr<Client>>& clients, int requests,
                      int adapters) {
  std::atomic<int> next{0};
  const double ms = Milliseconds([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < kInFlight; ++i) {
      threads.emplace_back([&, i] {
        v1::ClassifyRequest request;
        request.set_adapter(Name(i % adapters));
        std::string text;
        for (int word = 0; word < 40; ++word) text += std::to_string((i + word) % 10) + " ";
        request.add_inputs()->set_text(text);
        Client& client = *clients[static_cast<size_t>(i)];
        while (next++ < requests) {
          Must(client.Call(client.inference(), &v1::InferenceService::Stub::Classify, request,
                           std::chrono::minutes(10)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  return 1000.0 * requests / ms;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: mixed_bench PROGRAMS_FOLDER BASES_FOLDER BASE [ROUNDS [REQUESTS]]\n");
    return 2;
  }
  const fs::path bases = fs::absolute(argv[2]);
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 5;
  const int requests = argc > 5 ? std::atoi(argv[5]) : 1024;
  const fs::path folder =
      fs::temp_directory_path() / ("graft_mixed_bench_" + std::to_string(::getpid()));
  std::vector<double> ratios;
  fs::create_directories(folder);
  {
    const auto server =
        Must(LiveServer::Start(fs::absolute(argv[1]), bases, folder, {"--workers=1"}));
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kInFlight; ++i) clients.push_back(server->Connect(/*max_attempts=*/5));
    for (int i = 0; i < kInFlight; ++i) {
      ImportLora(*clients.front(), bases / argv[3],
                 {.adapter = Name(i), .bias = {static_cast<float>(i), -1}});
    }
    for (const int adapters : {kInFlight, 1}) TextsPerSecond(clients, 2 * kInFlight, adapters);
    for (int round = 0; round < rounds; ++round) {
      // The first of a round changes, so that a machine that slows down favours neither.
      double one = 0, many = 0;
      if (round % 2 == 0) one = TextsPerSecond(clients, requests, 1);
      many = TextsPerSecond(clients, requests, kInFlight);
      if (round % 2 == 1) one = TextsPerSecond(clients, requests, 1);
      ratios.push_back(many / one);
      std::printf("round %d: one adapter %.0f texts/s, %d adapters %.0f, ratio %.3f\n", round + 1,
                  one, kInFlight, many, ratios.back());
    }
  }
  fs::remove_all(folder);
  std::ranges::sort(ratios);
  return Claim(ratios[ratios.size() / 2] >= kLeastRatio, "the median ratio is %.3f >= %.2f",
               ratios[ratios.size() / 2], kLeastRatio)
             ? 0
             : 1;
}
