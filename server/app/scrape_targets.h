#pragma once
/// Where Prometheus finds this server and its workers, as a file for its file_sd_configs.

#include <string>
#include <vector>

#include "common/base/json.h"
#include "server/app/config.h"

namespace graft::server::app {

struct WorkerTarget {
  std::string device;  ///< "cpu", "cuda:0"
  int port = 0;        ///< Of the worker's /metrics on this machine's loopback.
};

/// Returns one group for the server, labelled job="graft-server", unless it serves no metrics, and
/// one for each worker, labelled job="graft-worker", worker="<i>", device="<device>".
/// `server` is the address it listens on, its port the real one; port 0: serves none.
Json ScrapeTargets(const Address& server, const std::vector<WorkerTarget>& workers);

}  // namespace graft::server::app
