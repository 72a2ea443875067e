#pragma once
/// Whether a job fits into what a worker's memory has left. Pure functions.

#include <cstdint>
#include <string>
#include <vector>

#include "server/core/rows.h"

namespace graft::server::core {

/// What a worker says of its memory.
struct WorkerMemory {
  int64_t free_bytes = 0;  ///< What a job could get now, its base included.
  int64_t most_bytes = 0;  ///< The same if the worker did nothing else.
  /// Bases that something uses: a job on one in its precision needs so much less.
  struct BaseInUse {
    std::string id;
    bool is_bf16 = false;  ///< Else fp32.
    int64_t bytes = 0;
  };
  std::vector<BaseInUse> bases_in_use;
  bool prefers_bf16 = false;      ///< In what jobs run that leave their precision to the worker.
  int64_t largest_elsewhere = 0;  ///< Largest most_bytes of the other workers that are known.
};

enum class Room {
  kFits,
  kLater,  ///< Once others have ended there.
  kNever,  ///< The worker is too small.
};

/// Jobs whose need isn't known fit.
Room RoomFor(const Job& job, const WorkerMemory& memory);

/// Takes what `job` needs from what is free: it was granted. Requires: it fits.
void Take(const Job& job, WorkerMemory& memory);

/// Why a job that doesn't fit waits, for its owner; begins with kWaitsForMemory.
std::string WhyItWaits(const Job& job, const std::string& worker, const WorkerMemory& memory);
inline constexpr std::string_view kWaitsForMemory = "waits for memory: ";

}  // namespace graft::server::core
