#pragma once
/// Whose fault a failure is, by one rule for server and workers.
/// Thread safety: free functions.

#include <string_view>

#include "common/base/status.h"

namespace graft {

enum class Fault {
  kNone,    ///< Nothing failed.
  kJob,     ///< What was asked for can't be done: its spec, its base, its numbers.
  kData,    ///< The data set that it names.
  kWorker,  ///< The process, machine or device that ran it, or a bug.
  kStore,   ///< The object store, or the way to it.
};
std::string_view FaultName(Fault fault);  ///< "JOB", "DATA", "WORKER", "STORE"; "" for kNone.

/// The rule, first match:
///   marked by OfStore                                   -> kStore
///   ResourceExhausted, DEVICE_OUT_OF_MEMORY of a field  -> kJob   (it fits nowhere like this)
///   InvalidArgument, FailedPrecondition, NotFound, AlreadyExists, OutOfRange, Unimplemented
///     with a field under "dataset" or "spec.dataset"    -> kData
///     else                                              -> kJob
///   anything else                                       -> kWorker
Fault FaultOf(const Status& status);

/// True if another try, here or elsewhere, may do better: a worker's or a store's fault, unless the
/// store says that the thing isn't there.
bool IsWorthRetrying(const Status& status);

/// Marks an error of the object store as the store's. OK stays OK.
Status OfStore(Status status);

}  // namespace graft
