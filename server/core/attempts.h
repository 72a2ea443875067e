#pragma once
/// What becomes of a job whose attempt ended without a result, and when it is tried again. Pure
/// functions.

#include <cstddef>
#include <string_view>

#include "server/core/leases.h"
#include "server/core/rows.h"

namespace graft::server::core {

/// Ends the attempt: back to the queue, unless the user wished otherwise or it failed too often.
/// Returns the event that says so. `error`: what ended it, if something did.
JobEvent GiveBack(Job& job, std::string_view reason, const LeaseOptions& options, TimeUs now,
                  const JobError& error = {});

/// How long a job waits whose `num_fruitless`-th attempt in a row met a fault.
TimeUs Backoff(size_t num_fruitless, const LeaseOptions& options);

/// How often in a row attempts of the job were handed back for lack of memory, the last included.
size_t RefusalsInARow(const Job& job);

}  // namespace graft::server::core
