#include "server/rpc/validator.h"

#include <spdlog/spdlog.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/as_tuple.hpp>

#include "server/core/jobs.h"
#include "server/rpc/job_probe.h"

namespace graft::server::rpc {
namespace {

using core::Transaction;
using std::chrono::steady_clock;

/// More than can run at once, so that a few that others hold don't hide the rest.
constexpr size_t kLook = 32;

}  // namespace

void Validator::Start() {
  loop_ = std::make_unique<Background>(backend_.runtime, "validation of jobs",
                                       [this] { return Loop(); });
}

void Validator::Stop() {
  if (loop_ == nullptr) return;
  loop_->Stop();
  loop_.reset();
}

Awaitable<void> Validator::Loop() {
  // Children end before the loop does: they use its owner.
  struct Children {
    std::map<core::JobKey, std::shared_ptr<asio::cancellation_signal>> signals;
    std::unique_ptr<asio::steady_timer> all_ended;
  };
  auto children = std::make_shared<Children>();
  children->all_ended =
      std::make_unique<asio::steady_timer>(backend_.runtime.io(), std::chrono::hours(24 * 365));
  JobChanges::Subscription changes(backend_.changes, {});
  std::exception_ptr interrupted;
  try {
    while (true) {
      core::JobQuery query;
      query.states = {core::JobState::kValidating};
      query.order = core::JobQuery::Order::kRunFirst;
      query.limit = kLook;
      auto list = [query](Transaction& tx) { return tx.ListJobs(query); };
      auto jobs = co_await Read(backend_.runtime, backend_.store, std::move(list));
      if (!jobs.ok()) spdlog::warn("cannot look for jobs to validate: {}", jobs.status().message());
      if (jobs.ok()) {
        for (const core::Job& job : *jobs) {
          const auto hold = not_before_.find(job.key);
          if (static_cast<int>(running_.size()) >= options_.max_running ||
              running_.contains(job.key) ||
              (hold != not_before_.end() && steady_clock::now() < hold->second)) {
            continue;
          }
          running_.insert(job.key);
          auto signal = std::make_shared<asio::cancellation_signal>();
          children->signals[job.key] = signal;
          asio::co_spawn(
              backend_.runtime.io(), Validate(job.key),
              asio::bind_cancellation_slot(
                  signal->slot(), [this, key = job.key, children, signal](std::exception_ptr) {
                    running_.erase(key);
                    children->signals.erase(key);
                    if (children->signals.empty()) children->all_ended->cancel();
                    backend_.changes.Notify({key});  // A place is free: look again.
                  }));
        }
      }
      co_await changes.Wait(backend_.limits.poll);
    }
  } catch (...) {
    interrupted = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state();
  auto signals = children->signals;
  for (auto& [key, signal] : signals) signal->emit(asio::cancellation_type::terminal);
  if (!children->signals.empty()) {
    co_await children->all_ended->async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  }
  std::rethrow_exception(interrupted);
}

template <typename Work>
Awaitable<StatusOr<intake::Prepared>> Validator::WhileRenewing(core::JobKey key, int64_t token,
                                                               Work work) {
  auto done = std::make_shared<bool>(false);
  auto renew = [](Validator* self, core::JobKey k, int64_t t,
                  std::shared_ptr<bool> over) -> Awaitable<void> {
    asio::steady_timer timer(self->backend_.runtime.io());
    while (!*over) {
      timer.expires_after(self->options_.claim / 3);
      co_await timer.async_wait(asio::use_awaitable);
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
  auto signal = std::make_shared<asio::cancellation_signal>();
  asio::co_spawn(backend_.runtime.io(), renew(this, key, token, done),
                 asio::bind_cancellation_slot(signal->slot(), [signal](std::exception_ptr) {}));
  StatusOr<intake::Prepared> result = co_await OnIntake(backend_.runtime, std::move(work));
  *done = true;
  signal->emit(asio::cancellation_type::terminal);
  co_return result;
}

bool Validator::WorthRetrying(const core::JobKey& key, const Status& status) {
  const bool machine = status.code() == StatusCode::kUnavailable ||
                       status.code() == StatusCode::kResourceExhausted ||
                       status.code() == StatusCode::kInternal;
  if (!machine || ++tries_[key] >= options_.max_tries) return false;
  not_before_[key] = steady_clock::now() + options_.retry;
  return true;
}

Awaitable<void> Validator::Validate(core::JobKey key) {
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
  StatusOr<intake::Prepared> prepared = InternalError("not run");
  StatusOr<Json> json = ParseJson(job->spec_json, "the job's spec");
  StatusOr<spec::JobSpec> spec =
      json.ok() ? spec::FromJson(*json) : StatusOr<spec::JobSpec>(json.status());
  if (!spec.ok()) {
    prepared = Status(StatusCode::kInvalidArgument, spec.status().message());
  } else {
    const auto machine = backend_.workers.MachineFor(spec->base, spec->hyperparameters.precision);
    auto work = [&intake = backend_.intake, tenant = key.tenant, spec = *spec, machine] {
      return intake.Prepare(tenant, spec, machine, /*store=*/true);
    };
    prepared = co_await WhileRenewing(key, token, std::move(work));
  }

  if (!prepared.ok() && WorthRetrying(key, prepared.status())) {
    spdlog::warn("job {} can't be validated now and is tried again: {}", key.id,
                 prepared.status().message());
    co_return;
  }
  auto finish = [key, token, prepared](Transaction& tx) -> StatusOr<core::Job> {
    if (!prepared.ok())
      return core::FailValidation(tx, key, token, core::ToJobError(prepared.status()));
    return core::FinishValidation(tx, key, token, prepared->dataset_sha256, prepared->facts,
                                  prepared->warnings);
  };
  const StatusOr<core::Job> finished =
      co_await Write(backend_.runtime, backend_.store, std::move(finish));
  tries_.erase(key);
  not_before_.erase(key);
  if (!finished.ok()) {
    // Cancelled meanwhile, or the store is away: then the next look finds it still VALIDATING.
    spdlog::info("job {}: {}", key.id, finished.status().message());
    co_return;
  }
  NoteTransition(backend_.probe, *finished, finished->error ? "DATA_FAULT" : "DATA_READY");
  spdlog::info("job {} is {}{}", key.id, core::JobStateName(finished->state),
               finished->error ? ": " + finished->error->message : "");
}

}  // namespace graft::server::rpc
