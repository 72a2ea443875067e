// Claims about the job store, measured on the disk that holds FOLDER:
//   a job is accepted at p99 <= 2 x the p99 of fsync in the same run + 3 ms;
//   10,000 queued jobs list, page, are claimed and survive a restart in milliseconds;
//   a worker that none of them fits holds up no writer, and comes to the one behind them that does.
// Usage: store_bench [FOLDER [JOBS [SAMPLES]]]. Exit code 1 if a claim does not hold.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file.h"
#include "server/core/granting.h"
#include "server/core/jobs.h"
#include "server/core/leases.h"
#include "server/stores/sqlite_store.h"

namespace {

using graft::Status;
using graft::StatusOr;
using graft::server::core::Job;
using graft::server::core::JobKey;
using graft::server::core::JobQuery;
using graft::server::core::JobState;
using graft::server::core::NewJob;
using graft::server::core::Store;
using graft::server::core::Transaction;
using graft::server::stores::SqliteStore;

constexpr int kClients = 16;
constexpr int64_t kJobBytes = int64_t{8} << 30;  ///< That each job needs of a device.
/// Long enough that nothing expires while it is measured.
constexpr graft::TimeUs kHour = 3'600'000'000;

double Milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "store_bench: %s\n", status.ToString().c_str());
  std::exit(2);
}

struct Quantiles {
  double p50 = 0, p99 = 0, max = 0;
};

Quantiles Print(const char* what, std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) {
    return ms[static_cast<size_t>(q * static_cast<double>(ms.size() - 1) + 0.5)];
  };
  const Quantiles quantiles{at(0.5), at(0.99), ms.back()};
  std::printf("%-44s p50 %8.3f   p99 %8.3f   max %8.3f ms   n %zu\n", what, quantiles.p50,
              quantiles.p99, quantiles.max, ms.size());
  return quantiles;
}

NewJob Request(int number) {
  NewJob job;
  job.tenant = "default";
  job.request_id = "request-" + std::to_string(number);
  job.request_hashes.message = std::string(64, 'a');
  job.spec_json = "{\"base\":\"minilm\",\"text\":\"" + std::string(1500, 'x') + "\"}";
  job.base = "minilm";
  job.adapter = "adapter-" + std::to_string(number % 100);
  job.labels = {{"team", "team-" + std::to_string(number % 20)}, {"env", "bench"}};
  job.priority = number % 3;
  return job;
}

double Accept(Store& store, int number) {
  return Milliseconds([&] {
    Check(store.WriteNow([job = Request(number)](Transaction& tx) {
      return graft::server::core::CreateJob(tx, job).status();
    }));
  });
}

/// One 4 KiB block appended and synced: the least that any durable acceptance costs.
class FsyncProbe {
 public:
  explicit FsyncProbe(const std::filesystem::path& path)
      : file_(::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600)) {}
  ~FsyncProbe() { ::close(file_); }
  double Measure() {
    return Milliseconds([&] {
      if (::write(file_, block_.data(), block_.size()) < 0 || ::fsync(file_) != 0) {
        Check(graft::InternalError("fsync failed"));
      }
    });
  }

 private:
  const int file_;
  const std::string block_ = std::string(4096, 'x');
};

/// One client: acceptances and fsyncs take turns, so that both meet the same disk.
bool MeasureAcceptance(Store& store, const std::filesystem::path& folder, int samples,
                       int& number) {
  FsyncProbe probe(folder / "fsync-probe");
  std::vector<double> accepted, synced;
  for (int i = 0; i < samples; ++i) {
    accepted.push_back(Accept(store, number++));
    synced.push_back(probe.Measure());
  }
  const Quantiles accept = Print("job accepted, one client", std::move(accepted));
  const Quantiles sync = Print("fsync of 4 KiB, in turns with it", std::move(synced));
  const double bound = 2 * sync.p99 + 3;
  const bool holds = accept.p99 <= bound;
  std::printf("  claim: p99 %.3f <= 2 x %.3f + 3 = %.3f ms: %s\n", accept.p99, sync.p99, bound,
              holds ? "holds" : "DOES NOT HOLD");
  return holds;
}

void MeasureManyClients(Store& store, int samples, int& number) {
  std::vector<std::vector<double>> all(kClients);
  std::vector<std::thread> clients;
  const double total = Milliseconds([&] {
    for (int c = 0; c < kClients; ++c) {
      clients.emplace_back([&, c, first = number + c * samples] {
        for (int i = 0; i < samples; ++i) {
          all[static_cast<size_t>(c)].push_back(Accept(store, first + i));
        }
      });
    }
    for (std::thread& client : clients) client.join();
  });
  number += kClients * samples;
  std::vector<double> joined;
  for (const auto& one : all) joined.insert(joined.end(), one.begin(), one.end());
  const double rate = 1000.0 * static_cast<double>(joined.size()) / total;
  Print("job accepted, 16 clients (group commit)", std::move(joined));
  std::printf("  %.0f jobs a second\n", rate);
}

/// Brings the store to `wanted` queued jobs.
void Fill(Store& store, int wanted, int& number) {
  while (number < wanted) {
    const int batch = std::min(500, wanted - number);
    Check(store.WriteNow([first = number, batch](Transaction& tx) -> Status {
      for (int i = 0; i < batch; ++i) {
        const auto created = graft::server::core::CreateJob(tx, Request(first + i));
        if (!created.ok()) return created.status();
      }
      return graft::OkStatus();
    }));
    number += batch;
  }
  int left = 1;
  while (left > 0) {
    Check(store.WriteNow([&left](Transaction& tx) -> Status {
      JobQuery query;
      query.states = {JobState::kValidating};
      query.order = JobQuery::Order::kRunFirst;
      query.limit = 500;
      GRAFT_ASSIGN_OR_RETURN(const std::vector<Job> jobs, tx.ListJobs(query));
      left = static_cast<int>(jobs.size());
      for (const Job& job : jobs) {
        GRAFT_ASSIGN_OR_RETURN(const Job claimed,
                               graft::server::core::ClaimValidation(tx, job.key, "bench", kHour));
        graft::server::core::JobFacts facts;
        facts.peak_memory_bytes = kJobBytes;
        facts.fp32_memory = {.whole = kJobBytes, .least = kJobBytes};
        GRAFT_RETURN_IF_ERROR(graft::server::core::FinishValidation(
                                  tx, job.key, claimed.lease.token, "data", facts, {})
                                  .status());
      }
      return graft::OkStatus();
    }));
  }
}

std::vector<Job> List(Store& store, const JobQuery& query) {
  std::vector<Job> jobs;
  Check(store.ReadNow([&](Transaction& tx) -> Status {
    GRAFT_ASSIGN_OR_RETURN(jobs, tx.ListJobs(query));
    return graft::OkStatus();
  }));
  return jobs;
}

void MeasureList(Store& store, const char* what, const JobQuery& query) {
  std::vector<double> ms;
  for (int i = 0; i < 200; ++i) ms.push_back(Milliseconds([&] { List(store, query); }));
  Print(what, std::move(ms));
}

void MeasureReads(Store& store) {
  JobQuery query;
  query.tenant = "default";
  MeasureList(store, "list: newest 50", query);
  query.states = {JobState::kQueued};
  MeasureList(store, "list: 50 of one state", query);
  query.states = {JobState::kQueued, JobState::kRunning, JobState::kFailed};
  MeasureList(store, "list: 50 of three states", query);
  query.states = {};
  query.labels = {{"team", "team-7"}};
  MeasureList(store, "list: 50 of one label", query);
  query.labels = {};
  query.adapter = "adapter-7";
  MeasureList(store, "list: 50 of one adapter", query);

  size_t seen = 0;
  JobQuery page;
  page.tenant = "default";
  page.limit = 1000;
  const double all = Milliseconds([&] {
    for (std::vector<Job> jobs = List(store, page); !jobs.empty(); jobs = List(store, page)) {
      seen += jobs.size();
      page.after_id = jobs.back().key.id;
    }
  });
  std::printf("%-44s %8.1f ms for %zu jobs\n", "page through all, 1000 a page", all, seen);

  std::vector<double> counts;
  for (int i = 0; i < 100; ++i) {
    counts.push_back(Milliseconds([&] {
      JobQuery queued;
      queued.states = {JobState::kQueued};
      Check(store.ReadNow([&](Transaction& tx) { return tx.CountJobs(queued).status(); }));
    }));
  }
  Print("count the queued", std::move(counts));
}

/// A worker's poll: what it looks through without a lock, and what it then writes, if something.
struct Poll {
  double look = 0, write = 0;  ///< Milliseconds.
  size_t granted = 0;
};

/// Goes on with the walk of `ask`.
Poll PollOnce(Store& store, graft::server::core::WorkerAsk& ask) {
  graft::server::core::LeaseOptions options{kHour, kHour, 3};
  options.tell_wait = kHour;
  Poll poll;
  graft::server::core::Work work;
  poll.look = Milliseconds([&] {
    Check(store.ReadNow([&](Transaction& tx) -> Status {
      GRAFT_ASSIGN_OR_RETURN(work, graft::server::core::FindWork(tx, ask, options));
      return graft::OkStatus();
    }));
  });
  ask.walk = work.walk;
  if (work.jobs.empty()) return poll;
  poll.write = Milliseconds([&] {
    Check(store.WriteNow([&](Transaction& tx) -> Status {
      GRAFT_ASSIGN_OR_RETURN(const auto jobs,
                             graft::server::core::AcquireLeases(tx, ask, work.jobs, options));
      poll.granted = jobs.granted.size();
      return graft::OkStatus();
    }));
  });
  return poll;
}

void MeasureClaims(Store& store) {
  const graft::server::core::LeaseOptions options{kHour, kHour, 3};
  std::vector<double> finds, claims, looks;
  for (int i = 0; i < 200; ++i) {
    graft::server::core::WorkerAsk ask{"worker", {"minilm"}, 1};
    const Poll poll = PollOnce(store, ask);
    if (poll.granted != 1) Check(graft::InternalError("nothing to claim"));
    finds.push_back(poll.look);
    claims.push_back(poll.write);
    looks.push_back(Milliseconds([&] {
      Check(store.WriteNow([&](Transaction& tx) {
        return graft::server::core::ExpireLeases(tx, options).status();
      }));
    }));
  }
  Print("find a job to claim (a read)", std::move(finds));
  Print("claim it", std::move(claims));
  Print("look for expired leases (200 run)", std::move(looks));
}

/// One job that needs little, behind all others.
void AddSmall(Store& store, int& number) {
  Check(store.WriteNow([&](Transaction& tx) -> Status {
    NewJob small = Request(number++);
    small.priority = -1;
    GRAFT_ASSIGN_OR_RETURN(const Job job, graft::server::core::CreateJob(tx, small));
    GRAFT_ASSIGN_OR_RETURN(const Job claimed,
                           graft::server::core::ClaimValidation(tx, job.key, "bench", kHour));
    graft::server::core::JobFacts facts;
    facts.peak_memory_bytes = 1;
    return graft::server::core::FinishValidation(tx, job.key, claimed.lease.token, "data", facts,
                                                 {})
        .status();
  }));
}

/// Of a worker that has too little for any of them but the last.
bool MeasurePolls(Store& store, int& number) {
  graft::server::core::WorkerAsk ask{"other", {"minilm"}, 1};
  ask.memory.emplace();
  ask.memory->free_bytes = kJobBytes / 2;
  ask.memory->most_bytes = 2 * kJobBytes;
  std::vector<double> looks;
  double written = 0;
  for (int i = 0; i < 100; ++i) {
    const Poll poll = PollOnce(store, ask);
    looks.push_back(poll.look);
    written += poll.write;
  }
  Print("poll of a worker that none fits (a read)", std::move(looks));
  const bool holds = written == 0;
  std::printf("  claim: such polls write nothing: %s\n", holds ? "holds" : "DOES NOT HOLD");
  AddSmall(store, number);
  ask.walk.reset();
  const int most = number / 100;
  int polls = 1;
  while (PollOnce(store, ask).granted == 0 && polls < most) ++polls;
  const bool is_found = polls < most;
  std::printf("  claim: they come to one that fits behind all others, here in %d: %s\n", polls,
              is_found ? "holds" : "DOES NOT HOLD");
  return holds && is_found;
}

std::unique_ptr<SqliteStore> Open(const std::string& path) {
  auto store = SqliteStore::Open(path);
  if (!store.ok()) Check(store.status());
  return *std::move(store);
}

}  // namespace

int main(int argc, char** argv) {
  auto temporary = graft::TempFolder::Create("store-bench");
  if (!temporary.ok()) Check(temporary.status());
  const std::filesystem::path folder = argc > 1 ? argv[1] : temporary->path().string();
  const int jobs = argc > 2 ? std::atoi(argv[2]) : 10'000;
  const int samples = std::max(argc > 3 ? std::atoi(argv[3]) : 1'500, 100);
  const std::string path = (folder / "store-bench.db").string();
  if (std::filesystem::exists(path)) Check(graft::AlreadyExistsError(path + " is in the way"));

  int number = 0;
  std::unique_ptr<SqliteStore> store = Open(path);
  std::printf("store_bench in %s\n\nan almost empty store\n", folder.c_str());
  bool holds = MeasureAcceptance(*store, folder, samples, number);
  MeasureManyClients(*store, samples / 10, number);
  Fill(*store, jobs, number);
  std::printf("\n%d queued jobs, %.1f MB\n", number,
              static_cast<double>(std::filesystem::file_size(path)) / 1e6);
  holds = MeasureAcceptance(*store, folder, samples / 3, number) && holds;
  Fill(*store, 0, number);
  MeasureReads(*store);
  MeasureClaims(*store);
  holds = MeasurePolls(*store, number) && holds;
  std::printf("%-44s %8.1f ms\n", "close", Milliseconds([&] { store.reset(); }));
  std::printf("%-44s %8.1f ms\n", "open again", Milliseconds([&] { store = Open(path); }));
  JobQuery queued;
  queued.states = {JobState::kQueued};
  queued.limit = 1'000'000;
  std::printf("%-44s %8zu\n", "queued jobs after opening again", List(*store, queued).size());
  store.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  std::filesystem::remove(folder / "fsync-probe");
  return holds ? 0 : 1;
}
