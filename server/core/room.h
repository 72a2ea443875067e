#pragma once
/// Whether a job fits into what a worker's memory has left, and whether any worker could hold it.
/// Pure functions.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/rows.h"

namespace graft::server::core {

/// A worker that is there, as far as it matters to which jobs could run on it.
struct WorkerPlace {
  std::string worker;
  std::vector<std::string> bases;  ///< That it can load.
  /// A job could get so much if the worker did nothing else, its base included. 0: not told, and
  /// taken for enough.
  int64_t most_bytes = 0;
  bool prefers_bf16 = false;  ///< In what jobs run that leave their precision to the worker.
  bool is_draining = false;   ///< It takes no more jobs.
};

/// What a worker says of its memory.
struct WorkerMemory {
  int64_t free_bytes = 0;  ///< What a job could get now, its base included.
  int64_t most_bytes = 0;  ///< As WorkerPlace's.
  /// Bases that something uses: a job on one in its precision needs so much less.
  struct BaseInUse {
    std::string id;
    bool is_bf16 = false;  ///< Else fp32.
    int64_t bytes = 0;
  };
  std::vector<BaseInUse> bases_in_use;
  bool prefers_bf16 = false;  ///< As WorkerPlace's.
};

enum class Room {
  kFits,
  kLater,  ///< Once others have ended there.
  kNever,  ///< The worker is too small.
};

/// Jobs whose need isn't known fit.
Room RoomFor(const Job& job, const WorkerMemory& memory);

/// Takes what `job` needs from what is free: it was granted.
void Take(const Job& job, WorkerMemory& memory);

/// True if the worker has the job's base and, did it nothing else, could hold the job in the
/// precision in which it would run there.
bool CouldHold(const Job& job, const WorkerPlace& place);

/// What the fleet has for a job.
enum class Prospect {
  kSome,      ///< A worker that takes jobs could hold it.
  kDraining,  ///< Only such could as take no more; they may come back.
  kNone,      ///< It is too large for every worker that has its base.
  kUnknown,   ///< No worker has its base.
};
Prospect ProspectOf(const Job& job, std::span<const WorkerPlace> places);

/// Keeps what a worker of `prefers_bf16` found that `job` needs of it at least, its base included.
/// 0: it doesn't know.
void NoteNeed(Job& job, bool prefers_bf16, int64_t bytes);

/// Why a job waits that others' ends will make room for, for its owner; begins with
/// kWaitsForMemory.
std::string WhyItWaits(const Job& job, const std::string& worker, const WorkerMemory& memory);
inline constexpr std::string_view kWaitsForMemory = "waits for memory: ";

/// Why a job waits that no worker could hold that has its base and takes jobs; begins with
/// kWaitsForWorker. Requires: its ProspectOf them is kDraining or kNone.
std::string WhyNoneHolds(const Job& job, std::span<const WorkerPlace> places);
inline constexpr std::string_view kWaitsForWorker = "waits for a larger worker: ";

}  // namespace graft::server::core
