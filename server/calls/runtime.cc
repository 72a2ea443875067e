#include "server/calls/runtime.h"

#include <spdlog/spdlog.h>

#include "common/base/guard.h"

namespace graft::server::calls {

Runtime::Runtime(Options options)
    : disk_(static_cast<size_t>(options.disk_threads)),
      intake_(static_cast<size_t>(options.intake_threads)),
      bases_(static_cast<size_t>(options.base_threads)),
      guard_(io_.get_executor()) {
  const auto failed = [](const Status& status) {
    spdlog::error("a handler failed: {}", status.message());
  };
  const auto run = [this, failed] {
    // One handler's bug must not end the server's only state thread.
    while (true) {
      const Status status = Contained([this] { io_.run(); });
      if (status.ok()) return;
      static_cast<void>(Contained([&] { failed(status); }));
    }
  };
  thread_ = StartThread(run, failed);
}

Runtime::~Runtime() { Stop(); }

void Runtime::Stop() {
  stopping_ = true;
  bases_.join();
  intake_.join();
  disk_.join();
  guard_.reset();
  if (thread_.joinable()) thread_.join();
}

}  // namespace graft::server::calls
