// What HTTP costs beside gRPC, on one server with its worker, the same chats of the same model:
//   16 clients that stream chats by HTTP get at least 0.97 of the tokens a second that 16 clients
//   of gRPC's Generate get; a stream's first token comes at most 1 ms later.
// Rounds alternate: each is a pair, which of the two goes first changes; figures are medians of
// pairs. Beside them the CPU time that each side took of server, worker and client, which tells
// what a difference is made of. Usage: gateway_bench PROGRAMS_FOLDER BASES_FOLDER BASE [ROUNDS
// [TOKENS]] Exit code 1 if a claim doesn't hold.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "bench/gateway/http_stream.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "graft/v1/inference.grpc.pb.h"
#include "tests/integration/live_server.h"

namespace {

namespace fs = std::filesystem;
namespace v1 = graft::v1;
using graft::Json;
using graft::bench::HttpStream;
using graft::bench::Streamed;
using std::chrono::steady_clock;

constexpr int kClients = 16;
constexpr int kFirstTokens = 200;  ///< Pairs of single requests.
constexpr const char* kPrompt = "Tell me about the history of the harbour.";

double Ms(steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double Quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<size_t>(at * static_cast<double>(values.size() - 1) + 0.5));
}
double Median(const std::vector<double>& values) { return Quantile(values, 0.5); }

/// One side's client: a chat, streamed to its end.
class Client {
 public:
  virtual ~Client() = default;
  virtual Streamed Chat(int tokens) = 0;
};

class HttpClient final : public Client {
 public:
  HttpClient(int port, std::string model) : stream_(port), model_(std::move(model)) {}
  Streamed Chat(int tokens) override {
    return stream_.Chat(Json{{"model", model_},
                             {"messages", Json::array({{{"role", "user"}, {"content", kPrompt}}})},
                             {"temperature", 0},
                             {"max_tokens", tokens},
                             {"min_tokens", tokens},
                             {"stream", true},
                             {"stream_options", {{"include_usage", true}}}}
                            .dump());
  }

 private:
  HttpStream stream_;
  const std::string model_;
};

class GrpcClient final : public Client {
 public:
  GrpcClient(const std::string& address, std::string base) : base_(std::move(base)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // A connection of its own.
    stub_ = v1::InferenceService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }
  Streamed Chat(int tokens) override {
    v1::GenerateRequest request;
    request.set_base(base_);
    auto& message = *request.mutable_chat()->add_messages();
    message.set_role("user");
    message.set_content(kPrompt);
    request.mutable_generation()->set_temperature(0);
    request.mutable_generation()->set_max_tokens(tokens);
    request.mutable_generation()->set_min_tokens(tokens);
    grpc::ClientContext context;
    const auto begin = steady_clock::now();
    const auto reader = stub_->Generate(&context, request);
    Streamed streamed;
    v1::GenerateResponse part;
    while (reader->Read(&part)) {
      if (streamed.tokens == 0) streamed.first = steady_clock::now() - begin;
      streamed.tokens = part.generated_tokens();
    }
    const grpc::Status status = reader->Finish();
    if (!status.ok()) throw std::runtime_error("Generate: " + status.error_message());
    return streamed;
  }

 private:
  const std::string base_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

/// CPU seconds of a process so far.
double CpuSeconds(int pid) {
  if (pid == 0) return 0;
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  const std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
  if (words.size() < 13) return 0;
  return static_cast<double>(std::stoll(words[11]) + std::stoll(words[12])) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

int ChildOf(int pid) {
  const std::string name = std::to_string(pid);
  int child = 0;
  for (const auto& thread : fs::directory_iterator("/proc/" + name + "/task")) {
    std::ifstream file(thread.path() / "children");
    if (file >> child) return child;
  }
  return child;
}

struct Cpu {
  double server = 0, worker = 0, client = 0;
};

/// All that a side's rounds gave.
struct Side {
  const char* name;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<double> rates;   ///< Tokens a second.
  std::vector<double> firsts;  ///< Milliseconds.
  Cpu cpu;
  int64_t tokens = 0;
};

class Bench {
 public:
  Bench(const graft::testing::LiveServer& server, int http_port, const std::string& base,
        int tokens)
      : server_pid_(server.pid()), tokens_(tokens) {
    for (int i = 0; i < kClients; ++i) {
      http_.clients.push_back(std::make_unique<HttpClient>(http_port, base));
      grpc_.clients.push_back(std::make_unique<GrpcClient>(server.address(), base));
    }
  }

  bool Run(int rounds) {
    for (Side* side : {&http_, &grpc_}) Rate(*side);  // Connections, caches, code.
    worker_pid_ = ChildOf(server_pid_);
    for (Side* side : {&http_, &grpc_})
      *side = {side->name, std::move(side->clients), {}, {}, {}, 0};
    for (int round = 0; round < rounds; ++round) {
      for (Side* side : Pair(round)) side->rates.push_back(Rate(*side));
      std::printf("round %d: http %.1f, grpc %.1f tokens/s, ratio %.3f\n", round + 1,
                  http_.rates.back(), grpc_.rates.back(), http_.rates.back() / grpc_.rates.back());
      std::fflush(stdout);
    }
    for (int i = 0; i < kFirstTokens; ++i) {
      for (Side* side : Pair(i)) side->firsts.push_back(Ms(side->clients[0]->Chat(2).first));
    }
    const bool is_as_fast = ReportRates();
    const bool is_as_soon = ReportFirsts();
    ReportCpu();
    return is_as_fast && is_as_soon;
  }

 private:
  std::vector<Side*> Pair(int number) {
    if (number % 2 == 0) return {&http_, &grpc_};
    return {&grpc_, &http_};
  }
  Cpu Now() const {
    return {CpuSeconds(server_pid_), CpuSeconds(worker_pid_), CpuSeconds(::getpid())};
  }

  /// Tokens a second of all its clients at once.
  double Rate(Side& side) {
    const Cpu before = Now();
    const auto begin = steady_clock::now();
    std::vector<std::thread> threads;
    std::vector<int64_t> tokens(side.clients.size());
    for (size_t i = 0; i < side.clients.size(); ++i)
      threads.emplace_back([&, i] { tokens[i] = side.clients[i]->Chat(tokens_).tokens; });
    for (std::thread& thread : threads) thread.join();
    const double seconds = Ms(steady_clock::now() - begin) / 1000;
    const Cpu after = Now();
    side.cpu.server += after.server - before.server;
    side.cpu.worker += after.worker - before.worker;
    side.cpu.client += after.client - before.client;
    int64_t sum = 0;
    for (const int64_t one : tokens) sum += one;
    if (sum != int64_t{tokens_} * kClients)
      throw std::runtime_error(std::string(side.name) + " gave another number of tokens");
    side.tokens += sum;
    return static_cast<double>(sum) / seconds;
  }

  bool ReportRates() const {
    std::vector<double> ratios;
    for (size_t i = 0; i < http_.rates.size(); ++i)
      ratios.push_back(http_.rates[i] / grpc_.rates[i]);
    const double ratio = Median(ratios);
    std::printf("%d streams of %d tokens: http %.1f tokens/s, grpc %.1f (medians of %zu rounds)\n",
                kClients, tokens_, Median(http_.rates), Median(grpc_.rates), ratios.size());
    std::printf("%s: http's over grpc's, pair by pair: median %.3f, %.3f to %.3f; at least 0.97\n",
                ratio >= 0.97 ? "holds" : "FAILS", ratio, Quantile(ratios, 0), Quantile(ratios, 1));
    return ratio >= 0.97;
  }
  bool ReportFirsts() const {
    std::vector<double> later;
    for (size_t i = 0; i < http_.firsts.size(); ++i)
      later.push_back(http_.firsts[i] - grpc_.firsts[i]);
    const double median = Median(later);
    std::printf("one stream's first token: http %.2f ms, grpc %.2f ms (medians of %zu)\n",
                Median(http_.firsts), Median(grpc_.firsts), later.size());
    std::printf(
        "%s: later by http, pair by pair: median %.2f ms, quartiles %.2f and %.2f; at most 1\n",
        median <= 1 ? "holds" : "FAILS", median, Quantile(later, 0.25), Quantile(later, 0.75));
    return median <= 1;
  }
  void ReportCpu() const {
    std::printf("CPU microseconds a token: server, worker, this program\n");
    for (const Side* side : {&http_, &grpc_}) {
      const double a_token = 1e6 / static_cast<double>(side->tokens);
      std::printf("  %s: %.0f, %.0f, %.0f\n", side->name, side->cpu.server * a_token,
                  side->cpu.worker * a_token, side->cpu.client * a_token);
    }
    std::printf("What isn't the worker's is what a side adds; on %u cores, load %s\n",
                std::thread::hardware_concurrency(), Load().c_str());
  }
  static std::string Load() {
    std::ifstream file("/proc/loadavg");
    std::string load;
    file >> load;
    return load;
  }

  const int server_pid_;
  int worker_pid_ = 0;
  const int tokens_;
  Side http_{"http", {}, {}, {}, {}, 0};
  Side grpc_{"grpc", {}, {}, {}, {}, 0};
};

int Measure(char** argv, int rounds, int tokens) {
  const fs::path folder =
      fs::temp_directory_path() / ("graft-gateway-bench-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  bool holds = false;
  {
    auto server = graft::testing::LiveServer::Start(argv[1], argv[2], folder, {"--workers=1"});
    if (!server.ok()) throw std::runtime_error(server.status().ToString());
    const auto text = graft::ReadFile(folder / "data" / "ports.json", 1 << 16);
    const auto ports = graft::ParseJson(text.value(), "ports.json");
    holds = Bench(**server, ports.value().at("http").get<int>(), argv[3], tokens).Run(rounds);
  }
  fs::remove_all(folder);
  return holds ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    std::fprintf(stderr,
                 "usage: gateway_bench PROGRAMS_FOLDER BASES_FOLDER BASE [ROUNDS [TOKENS]]\n");
    return 2;
  }
  try {
    return Measure(argv, argc > 4 ? std::stoi(argv[4]) : 9, argc > 5 ? std::stoi(argv[5]) : 128);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gateway_bench: %s\n", error.what());
    return 2;
  }
}
