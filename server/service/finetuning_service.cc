#include "server/service/finetuning_service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/base/failpoint.h"
#include "common/base/sha256.h"
#include "proto/error_info.h"
#include "proto/report.h"
#include "server/background/job_probe.h"
#include "server/background/job_trace.h"
#include "server/core/filter.h"
#include "server/core/jobs.h"
#include "server/core/registry.h"
#include "server/service/convert.h"
#include "server/service/paging.h"

namespace graft::server::service {
namespace {

using core::Transaction;

constexpr size_t kMaxRequestId = 128;

/// Requires: `asked` is the message, read.
core::RequestHashes HashesOf(const graft::v1::JobSpec& message, const spec::JobSpec& asked) {
  // Keys of JSON objects are sorted, which protobuf's own bytes needn't be.
  return {.resolved_spec = Sha256Hex(asked.ToJson().dump()),
          .message = Sha256Hex(MessageToJson(message).value().dump())};
}

/// A job takes over its parent's tensors one for one, so they must be the same ones and mean the
/// same, beside the same weights.
Status CheckContinues(const spec::JobSpec& spec, const core::Version& parent,
                      const intake::Base& base) {
  const families::Layout& layout = base.layout;
  const auto refuse = [&](const std::string& why) {
    return InvalidArgumentError(fmt::format("{} can't be continued: {}", spec.init_from, why))
        .At("spec.init_from", "INIT_FROM_MISMATCH");
  };
  if (!parent.base_fingerprint.empty() && parent.base_fingerprint != base.fingerprint) {
    return refuse(fmt::format("it was trained on other weights than the base {} has now", base.id));
  }
  const tasks::TaskSpec task = core::TaskOf(parent);
  if (const std::string why = tasks::Difference(task, spec.task); !why.empty()) return refuse(why);
  const StatusOr<Json> method = ParseJson(parent.method_json, "the version's method");
  if (!method.ok() || !method->is_object() || method->size() != 1)
    return DataLossError("the row of " + spec.init_from + " doesn't say its method");
  const std::string& name = method->begin().key();
  GRAFT_ASSIGN_OR_RETURN(const auto parsed, methods::ParseMethod(name, method->begin().value()));
  GRAFT_ASSIGN_OR_RETURN(const auto from, parsed->Resolve(layout));
  if (const std::string why = methods::FunctionDifference(*from, *spec.method); !why.empty())
    return refuse(why);
  const auto same = [](const methods::TensorSpec& a, const methods::TensorSpec& b) {
    return a.name == b.name && a.shape == b.shape;
  };
  if (std::ranges::equal(from->Tensors(layout, task), spec.method->Tensors(layout, task), same))
    return OkStatus();
  return refuse(fmt::format("its method is {} {}, which has other tensors than {} {}", name,
                            from->ToJson().dump(), spec.method->name(),
                            spec.method->ToJson().dump()));
}

}  // namespace

StatusOr<core::JobKey> FinetuningService::KeyOf(const calls::CallContext& context,
                                                const std::string& name) {
  GRAFT_ASSIGN_OR_RETURN(std::string id, ParseName(name, "jobs", "name"));
  return core::JobKey{context.tenant, std::move(id)};
}

calls::Awaitable<StatusOr<FinetuningService::Admitted>> FinetuningService::Admit(
    const calls::CallContext& context, const graft::v1::JobSpec& message) {
  StatusOr<spec::JobSpec> asked = FromProto(message);
  if (!asked.ok()) co_return proto::PrefixFields(asked.status(), "spec");
  GRAFT_CO_RETURN_IF_ERROR(
      co_await backend_.bases.CheckAdapterName(asked->adapter, "spec.adapter"));
  Admitted admitted;
  admitted.request_hashes = HashesOf(message, *asked);

  if (!asked->init_from.empty()) {
    auto resolve = [tenant = context.tenant, name = asked->init_from](Transaction& tx) {
      return core::ResolveVersion(tx, tenant, name);
    };
    StatusOr<core::Version> parent = co_await Read(backend_.runtime, backend_.store, resolve);
    if (!parent.ok()) co_return Status(parent.status()).At("spec.init_from");
    if (parent->base != asked->base) {
      co_return InvalidArgumentError(fmt::format("{} was trained on the base {}, not on {}",
                                                 asked->init_from, parent->base, asked->base))
          .At("spec.init_from");
    }
    if (asked->task.label_names.empty()) asked->task.label_names = parent->label_names;
    admitted.init_from = std::move(*parent);
  }

  const StatusOr<intake::BasePtr> base = co_await backend_.bases.Find(context, asked->base);
  if (!base.ok()) co_return Status(base.status()).At("spec.base");
  admitted.base = *base;
  auto resolved = spec::Resolve(*asked, admitted.base->layout);
  if (!resolved.ok()) co_return proto::PrefixFields(resolved.status(), "spec");
  admitted.spec = std::move(*resolved);
  if (admitted.init_from)
    GRAFT_CO_RETURN_IF_ERROR(CheckContinues(admitted.spec, *admitted.init_from, *admitted.base));
  auto find_files = [&sources = backend_.sources, tenant = context.tenant,
                     dataset = admitted.spec.dataset]() -> Status {
    return sources.Resolve(tenant, dataset).status();
  };
  Status files = co_await OnDisk(backend_.runtime, std::move(find_files));
  if (!files.ok()) co_return proto::PrefixFields(std::move(files), "spec");
  co_return admitted;
}

calls::Awaitable<StatusOr<intake::Prepared>> FinetuningService::Prepare(
    const calls::CallContext& context, const Admitted& admitted) {
  auto machines =
      backend_.workers.MachinesFor(admitted.spec.base, admitted.spec.hyperparameters.precision);
  const std::string prefix = admitted.init_from ? admitted.init_from->artifact_prefix : "";
  auto prepare = [&intake = backend_.intake, tenant = context.tenant, spec = admitted.spec,
                  base = admitted.base, machines = std::move(machines),
                  prefix](const StopFlag& stop) {
    return intake.Prepare(tenant, spec, *base,
                          {machines, /*store=*/false, stop, SystemClock().Now(), prefix});
  };
  context.waiting_for = "the data to be read and checked";
  StatusOr<intake::Prepared> prepared = co_await OnIntake(backend_.runtime, std::move(prepare));
  context.waiting_for.clear();
  if (!prepared.ok()) co_return proto::PrefixFields(prepared.status(), "spec");
  co_return prepared;
}

calls::Awaitable<StatusOr<std::optional<core::Job>>> FinetuningService::FindEarlier(
    const calls::CallContext& context, const graft::v1::CreateJobRequest& request) {
  StatusOr<spec::JobSpec> asked = FromProto(request.spec());
  if (!asked.ok()) co_return proto::PrefixFields(asked.status(), "spec");
  auto find = [tenant = context.tenant, id = request.request_id()](Transaction& tx) {
    return tx.FindJobByRequest(tenant, id);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(std::optional<core::Job> job,
                            co_await Read(backend_.runtime, backend_.store, std::move(find)));
  if (job && !HashesOf(request.spec(), *asked).Match(*job)) {
    co_return AlreadyExistsError("the request_id was used for another job, " + JobName(job->key.id))
        .At("request_id");
  }
  co_return job;
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::CreateJob(
    calls::CallContext& context, const graft::v1::CreateJobRequest& request) {
  if (request.request_id().size() > kMaxRequestId) {
    co_return InvalidArgumentError("request_id may have up to 128 bytes").At("request_id");
  }
  if (!request.request_id().empty() && !request.validate_only()) {
    // A repeated request is answered even where what it named is gone by now.
    GRAFT_CO_ASSIGN_OR_RETURN(const auto earlier, co_await FindEarlier(context, request));
    if (earlier) co_return ToProto(*earlier);
  }
  GRAFT_CO_ASSIGN_OR_RETURN(const Admitted admitted, co_await Admit(context, request.spec()));
  core::NewJob job;
  job.tenant = context.tenant;
  job.request_id = request.request_id();
  job.request_hashes = admitted.request_hashes;
  job.spec_json = admitted.spec.ToJson().dump();
  job.base = admitted.spec.base;
  job.adapter = admitted.spec.adapter;
  job.base_fingerprint = admitted.base->fingerprint;
  job.tokenizer = admitted.base->tokenizer->fingerprint();
  job.labels = admitted.spec.labels;
  job.priority = admitted.spec.priority;
  job.init_from = admitted.init_from;
  job.traceparent = tracing::Traceparent(context.span.context());
  job.tracestate = context.span.context().state;

  if (request.validate_only()) {
    GRAFT_CO_ASSIGN_OR_RETURN(const intake::Prepared prepared, co_await Prepare(context, admitted));
    core::Job preview;
    preview.spec_json = prepared.spec.ToJson().dump();
    preview.state = core::JobState::kValidating;
    preview.create_time = SystemClock().Now();
    preview.facts = prepared.facts;
    preview.dataset_sha256 = prepared.dataset_sha256;
    preview.warnings = prepared.warnings;
    co_return ToProto(preview);
  }

  auto create = [job, limits = core::JobLimits{backend_.limits.max_queued_jobs}](Transaction& tx) {
    return core::CreateJob(tx, job, limits);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Job created,
                            co_await Write(backend_.runtime, backend_.store, std::move(create)));
  GRAFT_FAILPOINT("server.after_job_created");
  context.span.Set("graft.job", created.key.id);
  co_return ToProto(created);
}

calls::Awaitable<StatusOr<graft::v1::EstimateJobResponse>> FinetuningService::EstimateJob(
    calls::CallContext& context, const graft::v1::EstimateJobRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Admitted admitted, co_await Admit(context, request.spec()));
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::Prepared prepared, co_await Prepare(context, admitted));
  graft::v1::EstimateJobResponse response;
  *response.mutable_facts() = proto::ToProto(prepared.facts);
  response.set_dataset_sha256(prepared.dataset_sha256);
  for (const std::string& warning : prepared.warnings) response.add_warnings(warning);
  if (prepared.facts.seconds == 0) {
    response.add_warnings("no worker that has this base is known, so seconds can't be estimated");
  }
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::GetJob(
    calls::CallContext& context, const graft::v1::GetJobRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::JobKey key, KeyOf(context, request.name()));
  auto get = [key](Transaction& tx) { return tx.GetJob(key); };
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Job job,
                            co_await Read(backend_.runtime, backend_.store, get));
  co_return ToProto(job);
}

calls::Awaitable<StatusOr<graft::v1::ListJobsResponse>> FinetuningService::ListJobs(
    calls::CallContext& context, const graft::v1::ListJobsRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  GRAFT_CO_ASSIGN_OR_RETURN(core::JobQuery query, core::ParseJobFilter(request.filter()));
  query.tenant = context.tenant;
  GRAFT_CO_ASSIGN_OR_RETURN(query.after_id,
                            core::ParsePageToken(request.page_token(), request.filter()));
  query.limit = page_size + 1;  // One more tells whether there is another page.
  struct Page {
    std::vector<core::Job> jobs;
    int64_t total = 0;
  };
  auto list = [query](Transaction& tx) -> StatusOr<Page> {
    Page page;
    GRAFT_ASSIGN_OR_RETURN(page.jobs, tx.ListJobs(query));
    core::JobQuery all = query;
    all.after_id.clear();
    GRAFT_ASSIGN_OR_RETURN(page.total, tx.CountJobs(all));
    return page;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(Page page,
                            co_await Read(backend_.runtime, backend_.store, std::move(list)));

  graft::v1::ListJobsResponse response;
  response.set_total_size(page.total);
  if (page.jobs.size() > page_size) {
    page.jobs.resize(page_size);
    response.set_next_page_token(core::MakePageToken(page.jobs.back().key.id, request.filter()));
  }
  for (const core::Job& job : page.jobs) *response.add_jobs() = ToProto(job);
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::ChangeJob(
    const calls::CallContext& context, const std::string& name, Change change) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::JobKey key, KeyOf(context, name));
  struct Result {
    core::JobState before;
    core::Job job;
  };
  auto apply = [key, change](Transaction& tx) -> StatusOr<Result> {
    GRAFT_ASSIGN_OR_RETURN(const core::Job before, tx.GetJob(key));
    GRAFT_ASSIGN_OR_RETURN(core::Job after, change(tx, key));
    return Result{before.state, std::move(after)};
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Result result,
                            co_await Write(backend_.runtime, backend_.store, apply));
  if (result.job.state != result.before) background::NoteTransition(backend_.probe, result.job);
  if (result.before == core::JobState::kQueued && core::IsTerminal(result.job.state))
    background::RecordWait(backend_.tracer, result.job);
  co_return ToProto(result.job);
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::CancelJob(
    calls::CallContext& context, const graft::v1::CancelJobRequest& request) {
  return ChangeJob(context, request.name(), core::CancelJob);
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::PauseJob(
    calls::CallContext& context, const graft::v1::PauseJobRequest& request) {
  return ChangeJob(context, request.name(), core::PauseJob);
}

calls::Awaitable<StatusOr<graft::v1::Job>> FinetuningService::ResumeJob(
    calls::CallContext& context, const graft::v1::ResumeJobRequest& request) {
  return ChangeJob(context, request.name(), core::ResumeJob);
}

calls::Awaitable<StatusOr<graft::v1::DeleteJobResponse>> FinetuningService::DeleteJob(
    calls::CallContext& context, const graft::v1::DeleteJobRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::JobKey key, KeyOf(context, request.name()));
  auto remove = [key](Transaction& tx) { return core::DeleteJob(tx, key); };
  GRAFT_CO_RETURN_IF_ERROR(co_await Write(backend_.runtime, backend_.store, remove));
  co_return graft::v1::DeleteJobResponse();
}

}  // namespace graft::server::service
