#include "client/cli/portions.h"

#include <algorithm>

#include "client/cli/progress.h"

namespace graft::cli {
namespace {

// Of one request.
constexpr size_t kMaxInputs = 256;
constexpr size_t kMaxBytes = 1 << 20;

/// The bytes that a model may read of a text; what is behind them costs nothing.
constexpr size_t kReadBytes = 4096;

constexpr double kFirstCost = 4 * kReadBytes;
constexpr double kMostCost = kMaxInputs * kReadBytes;
constexpr double kTargetSeconds = 2;
constexpr double kMostGrowth = 4;  ///< From one request to the next.

double Cost(const graft::v1::TextInput& input) {
  return static_cast<double>(std::min(input.ByteSizeLong(), kReadBytes));
}

}  // namespace

Portions::Portions(std::chrono::milliseconds timeout)
    : target_(std::min(kTargetSeconds, std::chrono::duration<double>(timeout).count() / 10)),
      most_(kFirstCost),
      limit_(kMostCost) {}

double Portions::CostOf(const TextInputs& inputs, size_t begin, size_t end) {
  double cost = 0;
  for (size_t i = begin; i < end; ++i) cost += Cost(inputs[i]);
  return cost;
}

size_t Portions::End(const TextInputs& inputs, size_t begin) const {
  size_t end = begin, bytes = 0;
  for (double cost = 0; end < inputs.size() && end - begin < kMaxInputs; ++end) {
    bytes += inputs[end].ByteSizeLong();
    cost += Cost(inputs[end]);
    if (end > begin && (bytes > kMaxBytes || cost > most_)) break;
  }
  return end;
}

void Portions::Answered(const TextInputs& inputs, size_t begin, size_t end,
                        std::chrono::duration<double> took) {
  answered_ = true;
  const double cost = CostOf(inputs, begin, end);
  const double fits = cost * target_ / std::max(took.count(), 1e-6);
  // A small request that was slow, but not too slow, mostly waited.
  if (fits < most_ && cost < most_ / 2 && took.count() <= target_) return;
  most_ = std::clamp(std::min(fits, most_ * kMostGrowth), 1.0, limit_);
}

bool Portions::TimedOut(const TextInputs& inputs, size_t begin, size_t end) {
  if (!answered_ || end - begin < 2) return false;
  const double cost = CostOf(inputs, begin, end);
  limit_ = std::max(cost / 2, 1.0);
  most_ = std::max(cost / 8, 1.0);
  return true;
}

int SendInPortions(Context& context, const TextInputs& inputs,
                   const std::function<Status(size_t begin, size_t end)>& ask,
                   const std::function<void(size_t begin)>& print) {
  Portions portions(context.options.timeout);
  TextProgress progress(context, inputs.size());
  for (size_t begin = 0; begin < inputs.size();) {
    const size_t end = portions.End(inputs, begin);
    if (end - begin < inputs.size()) progress.Draw(begin);
    const auto start = std::chrono::steady_clock::now();
    const Status status = ask(begin, end);
    if (status.code() == StatusCode::kDeadlineExceeded && portions.TimedOut(inputs, begin, end))
      continue;
    progress.Clear();
    if (!status.ok()) return Refuse(context, inputs.Locate(status, begin));
    portions.Answered(inputs, begin, end, std::chrono::steady_clock::now() - start);
    print(begin);
    if (!context.out) break;  // Run says so.
    begin = end;
  }
  return kOk;
}

}  // namespace graft::cli
