#include "common/otlp/exporter.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "common/base/guard.h"
#include "common/base/utf8.h"

namespace graft::otlp {
namespace {

constexpr size_t kMaxWhy = 200;

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
    return;
  }
  // A lack of memory costs the span alone.
  if (!Contained([&] { waiting_.push_back(std::move(span)); }).ok()) ++counts_.dropped;
  if (waiting_.size() == 1 || waiting_.size() >= options_.max_batch) changed_.notify_all();
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
  const auto give_up = Clock::now() + options_.patience;
  auto pause = options_.first_pause;
  while (true) {
    if (!GoOn()) return Drop(batch.size(), "the process ended before they were sent");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - Clock::now());
    const Answer answer = transport_->Post(body, left, [this] { return GoOn(); });
    if (answer.status >= 200 && answer.status < 300) {
      const Refused refused = RefusedOf(answer.body);
      const int64_t lost =
          std::clamp<int64_t>(refused.spans, 0, static_cast<int64_t>(batch.size()));
      if (lost > 0) Drop(static_cast<size_t>(lost), "the collector refused them: " + refused.why);
      const std::lock_guard lock(mutex_);
      counts_.sent += static_cast<int64_t>(batch.size()) - lost;
      return;
    }
    if (!IsWorthAnotherTry(answer.status) ||
        !Pause(std::max<std::chrono::milliseconds>(pause, answer.retry_after), give_up))
      return Drop(batch.size(), WhyOf(answer));
    pause *= 2;
  }
}

bool Exporter::Pause(std::chrono::milliseconds pause, Clock::time_point give_up) {
  if (Clock::now() + pause >= give_up) return false;
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, pause, [this] { return stop_by_.has_value(); });
}

void Exporter::Drop(size_t spans, const std::string& why) {
  int64_t dropped = 0;
  {
    const std::lock_guard lock(mutex_);
    dropped = counts_.dropped += static_cast<int64_t>(spans);
    const auto now = Clock::now();
    if (last_warning_ && now - *last_warning_ < options_.warn_every) return;
    last_warning_ = now;
  }
  spdlog::warn("{} spans of traces were dropped, {} since the start: {}", spans, dropped,
               Printable(why, kMaxWhy));
}

}  // namespace graft::otlp
