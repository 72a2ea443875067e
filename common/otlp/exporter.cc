#include "common/otlp/exporter.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "common/base/guard.h"
#include "common/base/utf8.h"

namespace graft::otlp {
namespace {

constexpr size_t kMaxWhy = 200;
/// Nobody waits longer, whatever a collector asks for.
constexpr std::chrono::seconds kLongestPause = std::chrono::hours(24);

/// OTLP/HTTP, "Retryable Response Codes"; without an answer the collector may be back soon.
bool IsWorthAnotherTry(int status) {
  return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

std::string WhyOf(const Answer& answer) {
  if (answer.status == 0) return answer.error;
  return "the collector answered " + std::to_string(answer.status) +
         (answer.body.empty() ? "" : ": " + Printable(answer.body, kMaxWhy));
}

}  // namespace

Exporter::Exporter(Options options, Resource resource, std::unique_ptr<Transport> transport)
    : options_(options), resource_(std::move(resource)), transport_(std::move(transport)) {
  thread_ = StartThread(
      [this] { Run(); },
      [](const Status& why) { spdlog::error("traces are sent no more: {}", why.message()); });
}

void Exporter::Take(tracing::Span span) {
  const std::lock_guard lock(mutex_);
  if (stop_by_ || waiting_.size() >= options_.max_queue) {
    ++counts_.dropped;
    ++overflown_;
    return;
  }
  // A lack of memory costs the span alone.
  if (!Contained([&] { waiting_.push_back(std::move(span)); }).ok()) ++counts_.dropped;
  if (waiting_.size() == 1 || waiting_.size() == options_.max_batch) changed_.notify_all();
}

void Exporter::Stop(std::chrono::milliseconds at_most) {
  {
    const std::lock_guard lock(mutex_);
    if (!stop_by_) stop_by_ = Clock::now() + at_most;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Exporter::Counts Exporter::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

bool Exporter::GoOn() const {
  const std::lock_guard lock(mutex_);
  return !stop_by_ || Clock::now() < *stop_by_;
}

void Exporter::Run() {
  while (true) {
    const std::vector<tracing::Span> batch = Next();
    if (batch.empty()) return;
    if (const Status sent = Contained([&] { Send(batch); }); !sent.ok())
      Drop(batch.size(), sent.message());
    TellOverflow();
  }
}

std::vector<tracing::Span> Exporter::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_by_ || !waiting_.empty(); });
  changed_.wait_for(lock, options_.delay,
                    [this] { return stop_by_ || waiting_.size() >= options_.max_batch; });
  const size_t count = std::min(waiting_.size(), options_.max_batch);
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<tracing::Span> batch(std::make_move_iterator(waiting_.begin()),
                                   std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return batch;
}

void Exporter::Send(const std::vector<tracing::Span>& batch) {
  const std::string body = ToOtlpJson(resource_, batch);
  const bool has_limit = options_.patience.count() > 0;
  const auto give_up = has_limit ? Clock::now() + options_.patience : Clock::time_point::max();
  auto pause = options_.first_pause;
  while (true) {
    if (!GoOn()) return Drop(batch.size(), "the process ended before they were sent");
    const Answer answer = transport_->Post(body, Left(give_up), [this] { return GoOn(); });
    if (answer.status >= 200 && answer.status < 300) return Arrived(batch.size(), answer.body);
    const std::chrono::milliseconds asked = std::min(answer.retry_after, kLongestPause);
    if (!IsWorthAnotherTry(answer.status) || !Pause(std::max(Jittered(pause), asked), give_up))
      return Drop(batch.size(), WhyOf(answer));
    pause *= 2;
  }
}

std::chrono::milliseconds Exporter::Left(Clock::time_point give_up) const {
  const std::lock_guard lock(mutex_);
  const auto end = stop_by_ ? std::min(*stop_by_, give_up) : give_up;
  const auto now = Clock::now();
  if (end > now + kLongestPause) return kLongestPause;
  return std::chrono::ceil<std::chrono::milliseconds>(end - now);
}

void Exporter::Arrived(size_t spans, const std::string& answer) {
  const Refused refused = RefusedOf(answer);
  const int64_t lost = std::clamp<int64_t>(refused.spans, 0, static_cast<int64_t>(spans));
  {
    const std::lock_guard lock(mutex_);
    counts_.sent += static_cast<int64_t>(spans) - lost;
    counts_.dropped += lost;
  }
  // One that refuses none and says something warns.
  if (lost > 0 || !refused.why.empty()) Warn(lost, "the collector says: " + refused.why);
}

std::chrono::milliseconds Exporter::Jittered(std::chrono::milliseconds pause) {
  std::uniform_real_distribution<double> factor(0.5, 1.5);
  return std::chrono::milliseconds(
      static_cast<int64_t>(static_cast<double>(pause.count()) * factor(random_)));
}

bool Exporter::Pause(std::chrono::milliseconds pause, Clock::time_point give_up) {
  if (Clock::now() + pause >= give_up) return false;
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, pause, [this] { return stop_by_.has_value(); });
}

void Exporter::Drop(size_t spans, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    counts_.dropped += static_cast<int64_t>(spans);
  }
  Warn(static_cast<int64_t>(spans), why);
}

void Exporter::TellOverflow() {
  int64_t spans = 0;
  {
    const std::lock_guard lock(mutex_);
    spans = std::exchange(overflown_, 0);
  }
  if (spans > 0) Warn(spans, "more came than the queue holds (OTEL_BSP_MAX_QUEUE_SIZE)");
}

void Exporter::Warn(int64_t spans, const std::string& why) {
  int64_t dropped = 0;
  {
    const std::lock_guard lock(mutex_);
    dropped = counts_.dropped;
    const auto now = Clock::now();
    if (last_warning_ && now - *last_warning_ < options_.warn_every) return;
    last_warning_ = now;
  }
  spdlog::warn("{} spans of traces were dropped, {} since the start: {}", spans, dropped,
               Printable(why, kMaxWhy));
}

}  // namespace graft::otlp
