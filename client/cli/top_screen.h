#pragma once
/// What `graft top` shows: pure text of what the server told.

#include <cstdint>
#include <string>
#include <vector>

#include "graft/v1/adapter.pb.h"
#include "graft/v1/job.pb.h"
#include "graft/v1/worker.pb.h"

namespace graft::cli {

/// One look at a server.
struct TopFigures {
  std::string server;
  std::string time;  ///< "12:03:44"
  std::vector<graft::v1::Worker> workers;
  std::vector<graft::v1::Job> jobs;  ///< Those under way, and the newest that have ended.
  std::vector<graft::v1::Adapter> adapters;
  std::string fault;  ///< Why the rest is old; empty if it isn't.
};

struct ScreenSize {
  size_t columns = 0;  ///< 0: lines aren't cut.
  size_t rows = 0;     ///< 0: all are shown.
};

/// Lines, each with its end. Running jobs stand first, then those that wait in their order.
std::string TopScreen(const TopFigures& figures, const ScreenSize& size);

}  // namespace graft::cli
