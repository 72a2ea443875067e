// A process for crash_test to kill: writes jobs to a store, and says which were acknowledged.
//   crash_writer DATABASE NAME COUNT [FAILPOINTS]
// prints "ready" once the store is open, then "ack ID" after each acknowledged write.

#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>

#include "common/base/failpoint.h"
#include "server/core/jobs.h"
#include "server/stores/sqlite_store.h"

namespace {

/// One system call a line, so that nothing is lost in a buffer when the process is killed.
void Say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::_Exit(3);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace graft;
  if (argc < 4) return 2;
  const std::string name = argv[2];
  const int count = std::atoi(argv[3]);
  auto store = server::stores::SqliteStore::Open(argv[1]);
  if (!store.ok()) {
    std::cerr << store.status() << "\n";
    return 1;
  }
  if (argc > 4) {
    if (const Status status = ArmFailpoints(argv[4]); !status.ok()) return 2;
  }
  Say("ready");

  constexpr int kInFlight = 8;
  std::mutex mutex;
  std::condition_variable wake;
  int in_flight = 0;
  for (int i = 0; i < count; ++i) {
    server::core::NewJob job;
    job.tenant = "default";
    job.request_id = name + "-" + std::to_string(i);
    job.base = "minilm";
    job.adapter = "support";
    job.labels = {{"writer", name}};
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return in_flight < kInFlight; });
    ++in_flight;
    (*store)->Write(
        [job](server::core::Transaction& tx) { return server::core::CreateJob(tx, job).status(); },
        [&, id = job.request_id](const Status& status) {
          if (status.ok()) Say("ack " + id);
          const std::lock_guard done(mutex);
          --in_flight;
          wake.notify_one();
        });
  }
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return in_flight == 0; });
  lock.unlock();
  store->reset();
  Say("end");
  return 0;
}
