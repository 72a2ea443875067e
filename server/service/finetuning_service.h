#pragma once
/// graft.v1.FinetuningService: jobs.

#include <optional>
#include <string>

#include "graft/v1/finetuning.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"
#include "server/core/jobs.h"

namespace graft::server::service {

class FinetuningService {
 public:
  explicit FinetuningService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::v1::Job>> CreateJob(calls::CallContext&,
                                                       const graft::v1::CreateJobRequest&);
  calls::Awaitable<StatusOr<graft::v1::Job>> GetJob(calls::CallContext&,
                                                    const graft::v1::GetJobRequest&);
  calls::Awaitable<StatusOr<graft::v1::ListJobsResponse>> ListJobs(
      calls::CallContext&, const graft::v1::ListJobsRequest&);
  calls::Awaitable<StatusOr<graft::v1::Job>> CancelJob(calls::CallContext&,
                                                       const graft::v1::CancelJobRequest&);
  calls::Awaitable<StatusOr<graft::v1::Job>> PauseJob(calls::CallContext&,
                                                      const graft::v1::PauseJobRequest&);
  calls::Awaitable<StatusOr<graft::v1::Job>> ResumeJob(calls::CallContext&,
                                                       const graft::v1::ResumeJobRequest&);
  calls::Awaitable<StatusOr<graft::v1::DeleteJobResponse>> DeleteJob(
      calls::CallContext&, const graft::v1::DeleteJobRequest&);
  /// Follows the store, so it also sees what other servers do; the local hint only makes it quick.
  calls::Awaitable<Status> WatchJob(calls::CallContext&, const graft::v1::WatchJobRequest&,
                                    calls::StreamWriter<graft::v1::JobEvent>&);
  calls::Awaitable<StatusOr<graft::v1::ListJobEventsResponse>> ListJobEvents(
      calls::CallContext&, const graft::v1::ListJobEventsRequest&);
  calls::Awaitable<StatusOr<graft::v1::EstimateJobResponse>> EstimateJob(
      calls::CallContext&, const graft::v1::EstimateJobRequest&);

 private:
  /// The job that the same request made before, if any. Errors: AlreadyExists if it asked for
  /// something else.
  calls::Awaitable<StatusOr<std::optional<core::Job>>> FindEarlier(
      const calls::CallContext&, const graft::v1::CreateJobRequest&);
  /// A spec that may become a job: checked, resolved for its base, its data's URIs found.
  struct Admitted {
    spec::JobSpec spec;
    intake::BasePtr base;
    std::optional<core::Version> init_from;  ///< The version that it continues.
    core::RequestHashes request_hashes;      ///< What a repeated request_id is compared by.
  };
  /// Of "jobs/<id>". Errors: InvalidArgument at `name`.
  static StatusOr<core::JobKey> KeyOf(const calls::CallContext& context, const std::string& name);
  using Change = StatusOr<core::Job> (*)(core::Transaction&, const core::JobKey&);
  /// What a user asks of a job that exists.
  calls::Awaitable<StatusOr<graft::v1::Job>> ChangeJob(const calls::CallContext&,
                                                       const std::string& name, Change change);
  calls::Awaitable<StatusOr<Admitted>> Admit(const calls::CallContext&, const graft::v1::JobSpec&);
  calls::Awaitable<StatusOr<intake::Prepared>> Prepare(const calls::CallContext&, const Admitted&);

  background::Backend& backend_;
};

}  // namespace graft::server::service
