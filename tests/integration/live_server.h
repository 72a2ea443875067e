#pragma once
/// A graft-server with its worker as real processes, for tests and benches written in C++.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "client/lib/client.h"
#include "common/base/status.h"

namespace graft::testing {

/// Stops the server, and with it its workers, when it goes.
class LiveServer {
 public:
  /// Starts `programs`/graft-server on free ports with its data under `folder` and waits until it
  /// listens.
  /// Errors: Unavailable with the end of its log if it doesn't.
  static StatusOr<std::unique_ptr<LiveServer>> Start(const std::filesystem::path& programs,
                                                     const std::filesystem::path& bases,
                                                     const std::filesystem::path& folder,
                                                     const std::vector<std::string>& options = {});
  ~LiveServer();
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  int pid() const { return pid_; }
  const std::string& address() const { return address_; }
  /// A client that doesn't repeat a call unless asked to, so that no failure hides.
  std::unique_ptr<client::Client> Connect(int max_attempts = 1) const;
  std::string Log() const;

 private:
  LiveServer(int pid, std::filesystem::path folder) : pid_(pid), folder_(std::move(folder)) {}

  int pid_;
  std::filesystem::path folder_;
  std::string address_;
};

}  // namespace graft::testing
