#include "server/rpc/runtime.h"

#include <cstdlib>
#include <exception>

#include <spdlog/spdlog.h>

namespace graft::server::rpc {

Runtime::Runtime(Options options)
    : disk_(static_cast<size_t>(options.disk_threads)),
      intake_(static_cast<size_t>(options.intake_threads)),
      bases_(static_cast<size_t>(options.base_threads)),
      guard_(io_.get_executor()) {
  thread_ = std::thread([this] {
    while (true) {
      try {
        io_.run();
        return;
      } catch (const std::exception& error) {
        // One handler's bug must not end the server's only state thread.
        spdlog::error("a handler threw: {}", error.what());
      }
    }
  });
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

}  // namespace graft::server::rpc
