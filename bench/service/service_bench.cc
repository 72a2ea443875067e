// Claims about the running service, measured over real channels on real processes:
//   a job is accepted at p99 <= 2 x the p99 of fsync in the same run + 3 ms; an idle worker starts
//   it within 100 ms; Classify of one short text has a p50 under 10 ms, and while a job trains at
//   most one layer's time more; 10,000 queued jobs list, page and survive a restart; graft-server
//   idles under 60 MiB; 1,000 adapters of one base in one worker cost at most 1.2 x the bytes of
//   their tensors.
// Usage: service_bench PROGRAMS_FOLDER BASES_FOLDER BASE [FOLDER [JOBS [ADAPTERS]]]
// BASE is a BERT. Exit code 1 if a claim does not hold.

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "bench/service/imports.h"
#include "bench/service/measures.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "tests/integration/live_server.h"

namespace {

namespace fs = std::filesystem;
namespace v1 = graft::v1;
using graft::bench::Claim;
using graft::bench::ImportLora;
using graft::bench::Metric;
using graft::bench::Milliseconds;
using graft::bench::Must;
using graft::bench::Print;
using graft::bench::Quantiles;
using graft::client::Client;
using graft::testing::LiveServer;

struct Setting {
  fs::path programs, bases, folder;
  std::string base;
  int jobs = 10'000;
  int adapters = 1'000;
};

void WriteData(const fs::path& path, int examples, int words) {
  std::ofstream file(path);
  file << "text,label\n";
  for (int i = 0; i < examples; ++i) {
    for (int w = 0; w < words; ++w) file << (w == 0 ? "" : " ") << (i * 7 + w * 13) % 997;
    file << "," << (i % 2 == 0 ? "even" : "odd") << "\n";
  }
}

v1::CreateJobRequest JobRequest(const Setting& setting, const std::string& train, int number,
                                int64_t max_steps) {
  v1::CreateJobRequest request;
  request.set_request_id("bench-" + std::to_string(::getpid()) + "-" + std::to_string(number));
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_base(setting.base);
  spec.set_adapter("bench-" + std::to_string(number % 100));
  spec.mutable_task()->mutable_sequence_classification();
  spec.mutable_method()->mutable_lora()->set_rank(8);
  spec.mutable_dataset()->set_train(train);
  spec.mutable_hyperparameters()->set_max_steps(max_steps);
  return request;
}

v1::Job Create(Client& client, const v1::CreateJobRequest& request) {
  return Must(client.Call(client.jobs(), &v1::FinetuningService::Stub::CreateJob, request));
}

std::unique_ptr<LiveServer> Start(const Setting& setting, const fs::path& folder,
                                  const char* workers) {
  fs::create_directories(folder);
  return Must(LiveServer::Start(setting.programs, setting.bases, folder,
                                {std::string("--workers=") + workers}));
}

/// Milliseconds in which 16 clients bring the queue from `number` to all the setting's jobs.
double Fill(const Setting& setting, const LiveServer& server, const std::string& train,
            int number) {
  std::atomic<int> next{number};
  return Milliseconds([&] {
    std::vector<std::thread> clients;
    for (int c = 0; c < 16; ++c) {
      clients.emplace_back([&] {
        const auto own = server.Connect();
        for (int mine = next++; mine < setting.jobs; mine = next++)
          Create(*own, JobRequest(setting, train, mine, 10));
      });
    }
    for (std::thread& one : clients) one.join();
  });
}

/// How many jobs the pages show.
int PageThrough(Client& reader) {
  int seen = 0;
  std::vector<double> pages;
  v1::ListJobsRequest list;
  list.set_page_size(100);
  do {
    v1::ListJobsResponse page;
    pages.push_back(Milliseconds([&] {
      page = Must(reader.Call(reader.jobs(), &v1::FinetuningService::Stub::ListJobs, list));
    }));
    seen += page.jobs_size();
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  Print("a page of 100 jobs", std::move(pages));
  return seen;
}

/// A server alone: acceptance, memory, and a full queue.
bool MeasureQueue(const Setting& setting, const fs::path& csv) {
  const fs::path folder = setting.folder / "queue";
  auto server = Start(setting, folder, "none");
  auto client = server->Connect();
  bool holds = true;
  const std::string train = Must(client->Upload(csv)).uri();
  const double idle = graft::bench::ResidentMiB(server->pid());
  holds &= Claim(idle < 60, "graft-server idles at %.1f MiB resident < %.0f", idle, 60);

  int number = 0;
  std::vector<double> accepted, synced;
  for (int i = 0; i < 1000; ++i) {
    accepted.push_back(
        Milliseconds([&] { Create(*client, JobRequest(setting, train, number++, 10)); }));
    synced.push_back(graft::bench::Fsync(folder));
  }
  const Quantiles accept = Print("job accepted over gRPC, one client", std::move(accepted));
  const Quantiles sync = Print("fsync of 4 KiB, in turns with it", std::move(synced));
  holds &=
      Claim(accept.p99 <= 2 * sync.p99 + 3, "accepted at p99 %.2f ms <= 2 x fsync's + 3 = %.2f ms",
            accept.p99, 2 * sync.p99 + 3);

  const double filled = Fill(setting, *server, train, number);
  std::printf("16 clients brought the queue to %d jobs: %.0f jobs/s\n", setting.jobs,
              (setting.jobs - number) / filled * 1000);

  const int before = PageThrough(*client);
  std::printf("graft-server with %d jobs: %.1f MiB resident\n", before,
              graft::bench::ResidentMiB(server->pid()));
  client.reset();
  server.reset();
  int after = 0;
  const double restarted = Milliseconds([&] {
    server = Start(setting, folder, "none");
    client = server->Connect(/*max_attempts=*/5);
    v1::ListJobsRequest list;
    list.set_page_size(1);
    Must(client->Call(client->jobs(), &v1::FinetuningService::Stub::ListJobs, list));
  });
  std::printf("restart until the first list is answered: %.0f ms\n", restarted);
  after = PageThrough(*client);
  holds &= Claim(before == setting.jobs && after == setting.jobs,
                 "%.0f jobs listed, %.0f after the restart", before, after);
  return holds;
}

/// Milliseconds from the reply to CreateJob until a watcher sees the job RUNNING.
double StartLatency(Client& client, const v1::CreateJobRequest& request) {
  const v1::Job job = Create(client, request);
  const auto accepted = std::chrono::steady_clock::now();
  double running = -1;
  const graft::Status status = client.Watch(job.name(), 0, [&](const v1::JobEvent& event) {
    if (running < 0 && event.state_change().to() == v1::RUNNING) {
      running =
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - accepted)
              .count();
    }
    return true;
  });
  if (!status.ok() || running < 0) {
    std::fprintf(stderr, "service_bench: %s never ran: %s\n", job.name().c_str(),
                 status.ToString().c_str());
    std::exit(1);
  }
  return running;
}

double ClassifyOnce(Client& client, const std::string& adapter, int number) {
  v1::ClassifyRequest request;
  request.set_adapter(adapter);
  request.add_inputs()->set_text("a short text about thing number " + std::to_string(number));
  return Milliseconds([&] {
    Must(client.Call(client.inference(), &v1::InferenceService::Stub::Classify, request));
  });
}

/// Small adapters whose tensors are `bytes` in all.
int64_t Import(Client& client, const Setting& setting, int count) {
  int64_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    bytes +=
        ImportLora(client, setting.bases / setting.base,
                   {.adapter = "many-" + std::to_string(i), .bias = {static_cast<float>(i), -1}});
  }
  return bytes;
}

bool MeasureStart(Client& client, const Setting& setting, const std::string& train) {
  StartLatency(client, JobRequest(setting, train, 0, 2));  // Loads the base.
  std::vector<double> starts;
  for (int i = 1; i <= 30; ++i)
    starts.push_back(StartLatency(client, JobRequest(setting, train, i, 2)));
  const Quantiles start = Print("idle worker: accepted until seen running", std::move(starts));
  return Claim(start.p99 <= 100, "an idle worker starts a job in %.1f ms (p99) <= %.0f", start.p99,
               100);
}

/// Milliseconds of an optimizer step of a job that trains meanwhile, from the worker's own figures.
class StepClock {
 public:
  explicit StepClock(int metrics) : metrics_(metrics), steps_(Steps()), seconds_(Seconds()) {}
  double Steps() const { return Metric(metrics_, "graft_train_step_seconds_count"); }
  double StepMs() const { return (Seconds() - seconds_) / (Steps() - steps_) * 1000; }
  void AwaitSteps(double count) const {
    while (Steps() < steps_ + count) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

 private:
  double Seconds() const { return Metric(metrics_, "graft_train_step_seconds_sum"); }
  const int metrics_;
  const double steps_, seconds_;
};

bool MeasureAnswers(Client& client, const Setting& setting, int metrics, const std::string& train) {
  for (int i = 0; i < 50; ++i) ClassifyOnce(client, "many-0", i);
  std::vector<double> idle, busy;
  for (int i = 0; i < 500; ++i) idle.push_back(ClassifyOnce(client, "many-0", i));
  const Quantiles alone = Print("Classify of one short text, idle", std::move(idle));
  bool holds = Claim(alone.p50 < 10, "p50 %.2f ms < %.0f", alone.p50, 10);

  const StepClock clock(metrics);
  const v1::Job job = Create(client, JobRequest(setting, train, 1000, 100'000));
  clock.AwaitSteps(2);
  for (int i = 0; i < 300; ++i) busy.push_back(ClassifyOnce(client, "many-0", i));
  const double step_ms = clock.StepMs();
  v1::CancelJobRequest cancel;
  cancel.set_name(job.name());
  Must(client.Call(client.jobs(), &v1::FinetuningService::Stub::CancelJob, cancel));
  const Quantiles training = Print("the same while a job trains", std::move(busy));
  const auto config = Must(graft::ParseJson(
      Must(graft::ReadFile(setting.bases / setting.base / "config.json", 1 << 20)), "config.json"));
  // A step walks every layer forward and then backward; backward takes about twice as long.
  const double layer_ms = step_ms * 2 / 3 / config["num_hidden_layers"].get<double>();
  std::printf("an optimizer step takes %.1f ms, a layer's backward pass about %.1f ms\n", step_ms,
              layer_ms);
  holds &= Claim(training.p50 <= alone.p50 + layer_ms,
                 "p50 while training %.2f ms <= idle + one layer = %.2f ms", training.p50,
                 alone.p50 + layer_ms);
  return holds;
}

/// `train`: data of a short job, by whose end the memory of the one before is free.
bool MeasureAdapters(Client& client, const Setting& setting, int metrics, const std::string& train,
                     int64_t there) {
  const std::string used = "graft_device_memory_bytes{kind=\"used\"}";
  StartLatency(client, JobRequest(setting, train, 2000, 2));
  const double before = Metric(metrics, used);
  const int64_t bytes = Import(client, setting, setting.adapters) - there;
  for (int i = 0; i < setting.adapters; ++i) ClassifyOnce(client, "many-" + std::to_string(i), i);
  const double cost = Metric(metrics, used) - before;
  const double held = Metric(metrics, "graft_adapters_resident{tier=\"device\"}");
  std::printf("%d adapters: %.1f MB of tensors, %.1f MB by the worker's allocator\n",
              setting.adapters, static_cast<double>(bytes) / 1e6, cost / 1e6);
  bool holds = Claim(held >= setting.adapters, "%.0f of %.0f adapters are resident", held,
                     static_cast<double>(setting.adapters));
  holds &= Claim(cost <= 1.2 * static_cast<double>(bytes), "they cost %.3f x their tensors <= %.1f",
                 cost / static_cast<double>(bytes), 1.2);
  return holds;
}

/// Where the worker's /metrics are.
int WorkersMetricsPort(const fs::path& folder) {
  const auto groups = Must(graft::ParseJson(
      Must(graft::ReadFile(folder / "data/prometheus-targets.json", 1 << 16)), "targets"));
  for (const auto& group : groups) {
    if (group["labels"]["job"] != "graft-worker") continue;
    const std::string target = group["targets"][0].get<std::string>();
    return std::stoi(target.substr(target.rfind(':') + 1));
  }
  std::fprintf(stderr, "service_bench: the server names no worker to read metrics from\n");
  std::exit(1);
}

/// A server with its worker: starting, answering, and many adapters.
bool MeasureWorker(const Setting& setting, const fs::path& csv, const fs::path& long_csv) {
  auto server = Start(setting, setting.folder / "worker", "1");
  auto client = server->Connect(/*max_attempts=*/5);
  const std::string train = Must(client->Upload(csv)).uri();
  const std::string long_train = Must(client->Upload(long_csv)).uri();
  bool holds = MeasureStart(*client, setting, train);
  const int metrics = WorkersMetricsPort(setting.folder / "worker");
  const int64_t first = Import(*client, setting, 1);
  holds &= MeasureAnswers(*client, setting, metrics, long_train);
  holds &= MeasureAdapters(*client, setting, metrics, train, first);
  return holds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(
        stderr,
        "usage: service_bench PROGRAMS_FOLDER BASES_FOLDER BASE [FOLDER [JOBS [ADAPTERS]]]\n");
    return 2;
  }
  Setting setting{fs::absolute(argv[1]), fs::absolute(argv[2]), {}, argv[3]};
  setting.folder =
      argc > 4 ? fs::absolute(argv[4])
               : fs::temp_directory_path() / ("graft_service_bench_" + std::to_string(::getpid()));
  if (argc > 5) setting.jobs = std::atoi(argv[5]);
  if (argc > 6) setting.adapters = std::atoi(argv[6]);
  fs::create_directories(setting.folder);
  WriteData(setting.folder / "short.csv", 64, 5);
  WriteData(setting.folder / "long.csv", 256, 100);
  const bool queue = MeasureQueue(setting, setting.folder / "short.csv");
  const bool worker =
      MeasureWorker(setting, setting.folder / "short.csv", setting.folder / "long.csv");
  fs::remove_all(setting.folder);
  return queue && worker ? 0 : 1;
}
