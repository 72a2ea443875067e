#pragma once
/// graft.v1.FinetuningService: jobs.

#include <optional>
#include <string>

#include "graft/v1/finetuning.pb.h"
#include "server/core/jobs.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {

class FinetuningService {
 public:
  explicit FinetuningService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::v1::Job>> CreateJob(CallContext&, const graft::v1::CreateJobRequest&);
  Awaitable<StatusOr<graft::v1::Job>> GetJob(CallContext&, const graft::v1::GetJobRequest&);
  Awaitable<StatusOr<graft::v1::ListJobsResponse>> ListJobs(CallContext&,
                                                            const graft::v1::ListJobsRequest&);
  Awaitable<StatusOr<graft::v1::Job>> CancelJob(CallContext&, const graft::v1::CancelJobRequest&);
  Awaitable<StatusOr<graft::v1::Job>> PauseJob(CallContext&, const graft::v1::PauseJobRequest&);
  Awaitable<StatusOr<graft::v1::Job>> ResumeJob(CallContext&, const graft::v1::ResumeJobRequest&);
  Awaitable<StatusOr<graft::v1::DeleteJobResponse>> DeleteJob(CallContext&,
                                                              const graft::v1::DeleteJobRequest&);
  /// Follows the store, so it also sees what other servers do; the local hint only makes it quick.
  Awaitable<Status> WatchJob(CallContext&, const graft::v1::WatchJobRequest&,
                             StreamWriter<graft::v1::JobEvent>&);
  Awaitable<StatusOr<graft::v1::EstimateJobResponse>> EstimateJob(
      CallContext&, const graft::v1::EstimateJobRequest&);

 private:
  /// The job that the same request made before, if any. Errors: AlreadyExists if it asked for
  /// something else.
  Awaitable<StatusOr<std::optional<core::Job>>> FindEarlier(const CallContext&,
                                                            const graft::v1::CreateJobRequest&);
  /// A spec that may become a job: checked, resolved for its base, its data's URIs found.
  struct Admitted {
    spec::JobSpec spec;
    intake::BasePtr base;
    std::optional<core::Version> init_from;  ///< The version that it continues.
    core::RequestHashes request_hashes;      ///< What a repeated request_id is compared by.
  };
  using Change = StatusOr<core::Job> (*)(core::Transaction&, const core::JobKey&);
  /// What a user asks of a job that exists.
  Awaitable<StatusOr<graft::v1::Job>> ChangeJob(const CallContext&, const std::string& name,
                                                Change change);
  Awaitable<StatusOr<Admitted>> Admit(const CallContext&, const graft::v1::JobSpec&);
  Awaitable<StatusOr<intake::Prepared>> Prepare(const CallContext&, const Admitted&);

  Backend& backend_;
};

}  // namespace graft::server::rpc
