#include "server/background/validator.h"

#include <spdlog/spdlog.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/as_tuple.hpp>

#include "common/logging/log.h"
#include "server/background/job_probe.h"
#include "server/background/job_trace.h"
#include "server/core/jobs.h"

namespace graft::server::background {
namespace {

using core::Transaction;
using std::chrono::steady_clock;

/// More than can run at once, so that a few that others hold don't hide the rest.
constexpr size_t kLook = 32;

/// The spec was resolved for one state of the base; what fits another nobody has checked.
Status CheckBaseIsAsChecked(const core::Job& job, const intake::Base& base) {
  const bool same =
      job.base_fingerprint.empty() ||
      (job.base_fingerprint == base.fingerprint && job.tokenizer == base.tokenizer->fingerprint());
  if (same) return OkStatus();
  return FailedPreconditionError("the base " + base.id +
                                 " was changed after the job was submitted; submit it again to "
                                 "train on it as it is now")
      .AddDetail({"BASE_CHANGED", "base", 0, {}, {}});
}

/// True if nobody waits for its validation any more. Not of a job that its validation has just
/// queued or failed: that is only noting its end.
bool IsUnwanted(const core::Job& job) {
  return job.state == core::JobState::kCancelled || job.state == core::JobState::kPaused;
}

}  // namespace

void Validator::Start() {
  loop_ = std::make_unique<calls::BackgroundTask>(backend_.runtime, "validation of jobs",
                                                  [this] { return Loop(); });
}

void Validator::Stop() {
  if (loop_ == nullptr) return;
  loop_->Stop();
  loop_.reset();
}

/// The validations that run; they end before the loop that began them does.
struct Validator::Children {
  explicit Children(boost::asio::io_context& io) : all_ended(io, std::chrono::hours(24 * 365)) {}
  std::map<core::JobKey, std::shared_ptr<boost::asio::cancellation_signal>> signals;
  boost::asio::steady_timer all_ended;
};

calls::Awaitable<void> Validator::Loop() {
  auto children = std::make_shared<Children>(backend_.runtime.io());
  std::exception_ptr interrupted;
  try {
    // Without a machine to fit into, a job of any size would pass.
    co_await backend_.workers.AwaitFirst();
    JobChanges::Subscription changes(backend_.changes, {});
    while (true) {
      co_await Look(children);
      co_await changes.Wait(backend_.limits.poll);
    }
  } catch (...) {
    interrupted = std::current_exception();
  }
  co_await boost::asio::this_coro::reset_cancellation_state();
  auto signals = children->signals;
  for (auto& [key, signal] : signals) signal->emit(boost::asio::cancellation_type::terminal);
  if (!children->signals.empty()) {
    co_await children->all_ended.async_wait(
        boost::asio::experimental::as_tuple(boost::asio::use_awaitable));
  }
  std::rethrow_exception(interrupted);
}

calls::Awaitable<void> Validator::Look(std::shared_ptr<Children> children) {
  core::JobQuery query;
  query.states = {core::JobState::kValidating};
  query.order = core::JobQuery::Order::kRunFirst;
  query.limit = kLook;
  struct Found {
    std::vector<core::Job> validating;
    std::vector<core::JobKey> unwanted;  ///< Of those that run.
  };
  auto find = [query, running = running_](Transaction& tx) -> StatusOr<Found> {
    Found result;
    GRAFT_ASSIGN_OR_RETURN(result.validating, tx.ListJobs(query));
    for (const core::JobKey& key : running) {
      const StatusOr<core::Job> job = tx.GetJob(key);
      if (!job.ok() && job.status().code() != StatusCode::kNotFound) return job.status();
      if (!job.ok() || IsUnwanted(*job)) result.unwanted.push_back(key);
    }
    return result;
  };
  const StatusOr<Found> found = co_await Read(backend_.runtime, backend_.store, std::move(find));
  if (!found.ok()) {
    spdlog::warn("cannot look for jobs to validate: {}", found.status().message());
    co_return;
  }
  for (const core::JobKey& key : found->unwanted) {
    // Its place is free once its work has noticed.
    if (const auto child = children->signals.find(key); child != children->signals.end())
      std::shared_ptr(child->second)->emit(boost::asio::cancellation_type::terminal);
  }
  if (found->validating.size() < kLook) ForgetAllBut(found->validating);
  for (const core::Job& job : found->validating) {
    const auto hold = not_before_.find(job.key);
    if (static_cast<int>(running_.size()) >= options_.max_running || running_.contains(job.key) ||
        (hold != not_before_.end() && steady_clock::now() < hold->second)) {
      continue;
    }
    running_.insert(job.key);
    auto signal = std::make_shared<boost::asio::cancellation_signal>();
    children->signals[job.key] = signal;
    auto ended = [this, key = job.key, children, signal](std::exception_ptr) {
      running_.erase(key);
      children->signals.erase(key);
      if (children->signals.empty()) children->all_ended.cancel();
      backend_.changes.Notify({key});  // A place is free: look again.
    };
    boost::asio::co_spawn(backend_.runtime.io(), Validate(job.key),
                          boost::asio::bind_cancellation_slot(signal->slot(), std::move(ended)));
  }
}

void Validator::ForgetAllBut(const std::vector<core::Job>& validating) {
  std::set<core::JobKey> keys = running_;
  for (const core::Job& job : validating) keys.insert(job.key);
  const auto is_over = [&](const auto& entry) { return !keys.contains(entry.first); };
  std::erase_if(tries_, is_over);
  std::erase_if(not_before_, is_over);
}

calls::Awaitable<StatusOr<intake::Prepared>> Validator::WhileRenewing(
    core::JobKey key, int64_t token, calls::Awaitable<StatusOr<intake::Prepared>> work) {
  auto done = std::make_shared<bool>(false);
  auto renew = [](Validator* self, core::JobKey k, int64_t t,
                  std::shared_ptr<bool> over) -> calls::Awaitable<void> {
    boost::asio::steady_timer timer(self->backend_.runtime.io());
    while (!*over) {
      timer.expires_after(self->options_.claim / 3);
      co_await timer.async_wait(boost::asio::use_awaitable);
      if (*over) co_return;
      auto extend = [k, t, duration = self->options_.claim.count() * 1000](Transaction& tx) {
        return core::RenewValidation(tx, k, t, duration);
      };
      // Lost (cancelled meanwhile, or another server's): the end of the work finds out.
      if (Status status = co_await Write(self->backend_.runtime, self->backend_.store, extend);
          !status.ok())
        co_return;
    }
  };
  auto signal = std::make_shared<boost::asio::cancellation_signal>();
  boost::asio::co_spawn(
      backend_.runtime.io(), renew(this, key, token, done),
      boost::asio::bind_cancellation_slot(signal->slot(), [signal](std::exception_ptr) {}));
  // Whatever ends the work, a shutdown too.
  struct StopRenewing {
    ~StopRenewing() {
      *over = true;
      renewal->emit(boost::asio::cancellation_type::terminal);
    }
    std::shared_ptr<bool> over;
    std::shared_ptr<boost::asio::cancellation_signal> renewal;
  } const stop_renewing{done, signal};
  co_return co_await std::move(work);
}

calls::Awaitable<StatusOr<intake::Prepared>> Validator::Prepare(core::Job job) {
  const StatusOr<Json> json = ParseJson(job.spec_json, "the job's spec");
  const StatusOr<spec::JobSpec> spec =
      json.ok() ? spec::FromJson(*json) : StatusOr<spec::JobSpec>(json.status());
  if (!spec.ok()) co_return InvalidArgumentError(spec.status().message());
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::BasePtr base, co_await backend_.bases.Find(spec->base));
  GRAFT_CO_RETURN_IF_ERROR(CheckBaseIsAsChecked(job, *base));
  auto machines = backend_.workers.MachinesFor(spec->base, spec->hyperparameters.precision);
  auto work = [&intake = backend_.intake, tenant = job.key.tenant, spec = *spec, base,
               machines = std::move(machines), create_time = job.create_time,
               prefix = job.init_from_prefix](const StopFlag& stop) {
    return intake.Prepare(tenant, spec, *base,
                          {machines, /*store=*/true, stop, create_time, prefix});
  };
  co_return co_await OnIntake(backend_.runtime, std::move(work));
}

bool Validator::WorthRetrying(const core::JobKey& key, const Status& status) {
  const bool machine = status.code() == StatusCode::kUnavailable ||
                       status.code() == StatusCode::kResourceExhausted ||
                       status.code() == StatusCode::kInternal;
  if (!machine || ++tries_[key] >= options_.max_tries) return false;
  not_before_[key] = steady_clock::now() + options_.retry;
  return true;
}

calls::Awaitable<void> Validator::Validate(core::JobKey key) {
  auto claim = [key, server = options_.server_id, duration = options_.claim.count() * 1000](
                   Transaction& tx) { return core::ClaimValidation(tx, key, server, duration); };
  const StatusOr<core::Job> job =
      co_await Write(backend_.runtime, backend_.store, std::move(claim));
  if (!job.ok()) {
    // Another server has it, or it was cancelled; else (store away) the next look tries again.
    not_before_[key] = steady_clock::now() + options_.retry;
    co_return;
  }
  const int64_t token = job->lease.token;
  tracing::ActiveSpan span = backend_.tracer.StartBelow("validate job", TraceOf(*job));
  span.Set("graft.job", key.id);
  calls::Awaitable<StatusOr<intake::Prepared>> work = Prepare(*job);
  const StatusOr<intake::Prepared> prepared = co_await WhileRenewing(key, token, std::move(work));

  // Told to stop, and the next start takes it up; or its job was cancelled or paused.
  if (prepared.status().code() == StatusCode::kCancelled) co_return;
  span.Fail(prepared.status());
  if (!prepared.ok() && WorthRetrying(key, prepared.status())) {
    logging::Warn(About(*job), "job {} can't be validated now and is tried again: {}", key.id,
                  prepared.status().message());
    co_return;
  }
  // Of a language model's data it is known only now which chat template it needs.
  const bool is_language =
      prepared.ok() && prepared->spec.task.kind == tasks::Kind::kCausalLanguageModeling;
  const std::string spec_json = is_language ? prepared->spec.ToJson().dump() : "";
  auto finish = [key, token, prepared, spec_json](Transaction& tx) -> StatusOr<core::Job> {
    if (!prepared.ok())
      return core::FailValidation(tx, key, token, core::ToJobError(prepared.status()));
    return core::FinishValidation(tx, key, token, prepared->dataset_sha256, prepared->facts,
                                  prepared->warnings, spec_json);
  };
  const StatusOr<core::Job> finished =
      co_await Write(backend_.runtime, backend_.store, std::move(finish));
  tries_.erase(key);
  not_before_.erase(key);
  if (!finished.ok()) {
    // Cancelled meanwhile, or the store is away: then the next look finds it still VALIDATING.
    logging::Info(About(*job), "job {}: {}", key.id, finished.status().message());
    co_return;
  }
  NoteTransition(backend_.probe, *finished);
  logging::Info(About(*job), "job {} is {}{}", key.id, core::JobStateName(finished->state),
                finished->error ? ": " + finished->error->message : "");
}

}  // namespace graft::server::background
