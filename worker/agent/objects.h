#pragma once
/// The worker's way to the object store: through the server, so that a worker needs no disk in
/// common with it.

#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "worker/engine/types/types.h"

namespace graft::worker::agent {

class ServerLink;

/// Thread safety: thread-safe; calls block.
class Objects {
 public:
  explicit Objects(std::shared_ptr<ServerLink> server) : server_(std::move(server)) {}

  /// `go_on`, if set, is asked before each part of an object.
  /// Errors: NotFound; DataLoss if `sha256` is given and differs; Unavailable; Cancelled if `go_on`
  /// said no.
  StatusOr<std::string> Get(const std::string& key, const std::string& sha256 = {},
                            const std::function<bool()>& go_on = {});
  /// Stores an object whole or not at all.
  Status Put(const std::string& key, const std::string& bytes);
  /// Fetches a version's files: graft.json under `prefix` lists the others.
  StatusOr<engine::Files> GetVersion(const std::string& prefix,
                                     const std::function<bool()>& go_on = {});
  /// Asks `go_on` before each file. Errors: Aborted if it said no; Unavailable.
  Status PutVersion(const std::string& prefix, const engine::Files& files,
                    const std::function<bool()>& go_on);

 private:
  std::shared_ptr<ServerLink> server_;
};

}  // namespace graft::worker::agent
