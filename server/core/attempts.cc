#include "server/core/attempts.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "common/base/fault.h"
#include "common/base/utf8.h"
#include "server/core/jobs.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxEndMessage = 500;

bool IsNoOnesFault(const Attempt& attempt) {
  return attempt.end_reason == kReasonDrained || attempt.end_reason == kReasonPaused ||
         attempt.end_reason == kReasonNoRoom;
}

/// The attempts since the last one that made a checkpoint, oldest first.
std::vector<const Attempt*> Fruitless(const Job& job) {
  std::vector<const Attempt*> fruitless;
  for (auto attempt = job.attempts.rbegin();
       attempt != job.attempts.rend() && !attempt->made_checkpoint; ++attempt) {
    if (!IsNoOnesFault(*attempt)) fruitless.push_back(&*attempt);
  }
  std::reverse(fruitless.begin(), fruitless.end());
  return fruitless;
}

/// Fruitless attempts as a failure, if they are too many.
std::optional<JobError> TooManyAttempts(const std::vector<const Attempt*>& fruitless,
                                        const LeaseOptions& options) {
  if (static_cast<int>(fruitless.size()) < options.max_attempts_without_checkpoint) return {};
  std::string reasons;
  for (const Attempt* attempt : fruitless) {
    reasons += (reasons.empty() ? "" : "; ") + ("attempt " + std::to_string(attempt->number)) +
               " on " + attempt->worker + ": " + attempt->end_reason +
               (attempt->end_message.empty() ? "" : " (" + attempt->end_message + ")");
  }
  return JobError{StatusCode::kUnavailable,
                  std::to_string(fruitless.size()) +
                      " attempts in a row ended before their first checkpoint: " + reasons,
                  {{"TOO_MANY_ATTEMPTS", {}, 0, {}, {}}},
                  0,
                  std::string(FaultName(Fault::kWorker))};
}

}  // namespace

TimeUs Backoff(size_t num_fruitless, const LeaseOptions& options) {
  TimeUs wait = options.backoff;
  for (size_t i = 1; i < num_fruitless && wait < options.max_backoff; ++i) wait *= 4;
  return std::min(wait, options.max_backoff);
}

JobEvent GiveBack(Job& job, std::string_view reason, const LeaseOptions& options, TimeUs now,
                  const JobError& error) {
  CloseAttempt(job, reason, now);
  if (!job.attempts.empty()) {
    job.attempts.back().end_message = Printable(error.message, kMaxEndMessage);
  }
  if (job.desired_state == JobState::kCancelled) {
    return ChangeState(job, JobState::kCancelled, kReasonCancelled, now);
  }
  if (job.desired_state == JobState::kPaused) {
    return ChangeState(job, JobState::kPaused, kReasonPaused, now);
  }
  const auto fruitless = Fruitless(job);
  if (auto failure = TooManyAttempts(fruitless, options)) {
    job.error = std::move(failure);
    if (!error.fault.empty()) job.error->fault = error.fault;
    JobEvent event = ChangeState(job, JobState::kFailed, "TOO_MANY_ATTEMPTS", now);
    event.error = job.error;
    return event;
  }
  JobEvent event = ChangeState(job, JobState::kQueued, reason, now);
  if (reason == kReasonRetry) job.not_before = now + Backoff(fruitless.size(), options);
  if (error.code != StatusCode::kOk) event.error = error;
  return event;
}

size_t RefusalsInARow(const Job& job) {
  return static_cast<size_t>(std::ranges::distance(
      job.attempts | std::views::reverse |
      std::views::take_while([](const Attempt& a) { return a.end_reason == kReasonNoRoom; })));
}

}  // namespace graft::server::core
