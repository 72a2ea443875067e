#pragma once
/// A job, its events and its checkpoints in the form of OpenAI's.
/// Source: OpenAI's FineTuningJob, FineTuningJobEvent, FineTuningJobCheckpoint.
/// Thread safety: free functions.

#include <string>

#include "common/base/json.h"
#include "graft/v1/adapter.pb.h"
#include "graft/v1/job.pb.h"

namespace graft::server::rest {

/// Under "graft" the job as graft.v1.Job has it.
Json ToFinetuningJob(const graft::v1::Job& job);

/// `job` is the job's id.
Json ToFinetuningEvent(const std::string& job, const graft::v1::JobEvent& event);

/// A version that a job kept on its way.
Json ToCheckpoint(const graft::v1::AdapterVersion& version);

/// "support@3" of "adapters/support/versions/3".
std::string ModelName(const std::string& version_name);

}  // namespace graft::server::rest
