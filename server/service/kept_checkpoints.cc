/// How CoordinatorService makes versions of checkpoints.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/failpoint.h"
#include "common/logging/log.h"
#include "common/objects/keys.h"
#include "server/core/kept_checkpoints.h"
#include "server/service/convert.h"
#include "server/service/coordinator_service.h"
#include "server/service/trained_version.h"

namespace graft::server::service {

namespace pb = graft::internal::v1;
using core::Transaction;

calls::Awaitable<StatusOr<pb::KeepCheckpointResponse>> CoordinatorService::KeepCheckpoint(
    calls::CallContext& context, const pb::KeepCheckpointRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckWorkerId(request.worker_id()));
  if (request.step() < 1)
    co_return InvalidArgumentError("a checkpoint is behind a step").At("step");
  (void)backend_.workers.Touch(request.worker_id());
  core::CheckpointToKeep checkpoint;
  checkpoint.key = {request.tenant(), request.job_id()};
  checkpoint.token = request.token();
  checkpoint.step = request.step();
  const std::string prefix =
      objects::KeptPrefix(request.tenant(), request.job_id(), request.token(), request.step());
  GRAFT_CO_ASSIGN_OR_RETURN(checkpoint.version, TrainedVersion(request, prefix));
  tracing::ActiveSpan making = backend_.tracer.StartBelow("version", context.span.context());
  checkpoint.version.traceparent = tracing::Traceparent(making.context());
  GRAFT_CO_RETURN_IF_ERROR(co_await CheckStored(backend_, prefix));
  auto keep = [checkpoint](Transaction& tx) -> StatusOr<core::Kept> {
    core::CheckpointToKeep filled = checkpoint;
    GRAFT_ASSIGN_OR_RETURN(const core::Job job,
                           core::GetHeldJob(tx, checkpoint.key, checkpoint.token));
    SpecOfVersion spec = ReadSpecOfVersion(job.spec_json);
    filled.version.method_json = std::move(spec.method_json);
    filled.version.description = std::move(spec.description);
    filled.most = spec.keep_checkpoints;
    return core::KeepCheckpoint(tx, filled);
  };
  GRAFT_FAILPOINT("server.before_checkpoint_kept");
  const StatusOr<core::Kept> written =
      co_await Write(backend_.runtime, backend_.store, std::move(keep));
  making.Fail(written.status());
  if (!written.ok()) co_return written.status();
  GRAFT_FAILPOINT("server.after_checkpoint_kept");
  const core::Kept& kept = *written;
  if (!kept.made) making.Discard();
  if (kept.made) {
    making.Set("graft.version", VersionName(kept.made->adapter, kept.made->number));
    making.Set("graft.step", request.step());
    logging::Info(
        {.job = request.job_id(),
         .trace_id = making.context().trace_id,
         .span_id = making.context().span_id},
        "job {} keeps its step {} as version {} of {}{}", request.job_id(), request.step(),
        kept.made->number, kept.made->adapter,
        kept.removed.empty() ? "" : fmt::format(", without {}", fmt::join(kept.removed, ", ")));
  }
  co_return pb::KeepCheckpointResponse();
}

}  // namespace graft::server::service
