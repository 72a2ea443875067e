#include "worker/engine/device/ledger.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/base/bytes_text.h"

namespace graft::worker::engine {
namespace {

constexpr const char* kReason = "MEMORY_FULL";

size_t IndexOf(MemoryKind kind) { return static_cast<size_t>(kind); }

}  // namespace

Holding& Holding::operator=(Holding&& other) noexcept {
  if (this == &other) return *this;
  Release();
  ledger_ = std::move(other.ledger_);
  kind_ = other.kind_;
  bytes_ = std::exchange(other.bytes_, 0);
  what_ = std::move(other.what_);
  return *this;
}

void Holding::Release() {
  if (ledger_ != nullptr) ledger_->Give(kind_, std::exchange(bytes_, 0));
  ledger_.reset();
}

Status Holding::Resize(int64_t bytes) {
  if (bytes > bytes_) {
    GRAFT_RETURN_IF_ERROR(ledger_->TakeOrReclaim(kind_, bytes - bytes_, what_));
  } else {
    ledger_->Give(kind_, bytes_ - bytes);
  }
  bytes_ = bytes;
  return OkStatus();
}

bool Holding::ResizeIfFree(int64_t bytes) {
  if (bytes > bytes_) {
    if (ledger_->Take(kind_, bytes - bytes_) > 0) return false;
  } else {
    ledger_->Give(kind_, bytes_ - bytes);
  }
  bytes_ = bytes;
  return true;
}

std::shared_ptr<Ledger> Ledger::Create(Options options) {
  return std::shared_ptr<Ledger>(new Ledger(std::move(options)));
}

StatusOr<Holding> Ledger::Reserve(MemoryKind kind, int64_t bytes, std::string what) {
  GRAFT_RETURN_IF_ERROR(TakeOrReclaim(kind, bytes, what));
  return Holding(shared_from_this(), kind, bytes, std::move(what));
}

StatusOr<Holding> Ledger::ReserveUpTo(MemoryKind kind, int64_t most, int64_t least,
                                      std::string what) {
  const int64_t missing = Take(kind, most);
  if (missing == 0) return Holding(shared_from_this(), kind, most, std::move(what));
  const int64_t rest = std::max(most - missing, least);
  GRAFT_RETURN_IF_ERROR(TakeOrReclaim(kind, rest, what));
  return Holding(shared_from_this(), kind, rest, std::move(what));
}

int64_t Ledger::BudgetFor(MemoryKind kind) const {
  // Passes come by the thousand, and asking the system takes long.
  if (kind == MemoryKind::kScratch || !options_.attainable) return options_.budget;
  return std::min(options_.budget, options_.attainable());
}

int64_t Ledger::FreeFor(MemoryKind kind, int64_t budget) const {
  const int64_t passes = held_[IndexOf(MemoryKind::kScratch)];
  const int64_t kept =
      kind == MemoryKind::kScratch ? 0 : std::max<int64_t>(options_.for_passes - passes, 0);
  return budget - total_ - kept;
}

int64_t Ledger::FreeIfLeft(int64_t bytes) const {
  const int64_t budget = BudgetFor(MemoryKind::kTraining);
  const std::lock_guard lock(mutex_);
  return std::max<int64_t>(FreeFor(MemoryKind::kTraining, budget) + bytes, 0);
}

int64_t Ledger::Take(MemoryKind kind, int64_t bytes) {
  const int64_t budget = BudgetFor(kind);
  const std::lock_guard lock(mutex_);
  const int64_t free = FreeFor(kind, budget);
  if (bytes > free) return bytes - free;
  held_[IndexOf(kind)] += bytes;
  total_ += bytes;
  peak_ = std::max(peak_, total_);
  return 0;
}

Status Ledger::TakeOrReclaim(MemoryKind kind, int64_t bytes, const std::string& what) {
  int64_t missing = Take(kind, bytes);
  // What can't fit in any case drives nobody out.
  const bool can_fit = bytes <= (kind == MemoryKind::kScratch ? options_.budget : capacity());
  if (missing > 0 && reclaim_ && can_fit) {
    reclaim_(missing);
    missing = Take(kind, bytes);
  }
  return missing > 0 ? Refusal(kind, bytes, what) : OkStatus();
}

void Ledger::Give(MemoryKind kind, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  held_[IndexOf(kind)] -= bytes;
  total_ -= bytes;
}

Status Ledger::Refusal(MemoryKind kind, int64_t bytes, const std::string& what) const {
  const int64_t budget = BudgetFor(kind);
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    const auto held = [&](MemoryKind of) { return BytesText(held_[IndexOf(of)]); };
    text = what + " needs " + BytesText(bytes) + "; " +
           BytesText(std::max<int64_t>(FreeFor(kind, budget), 0)) + " of " +
           BytesText(options_.budget) + " are free: bases have " + held(MemoryKind::kBase) +
           ", adapters " + held(MemoryKind::kAdapter) + ", keys and values " +
           held(MemoryKind::kKeysValues) + ", training " + held(MemoryKind::kTraining) +
           ", passes " +
           BytesText(std::max(held_[IndexOf(MemoryKind::kScratch)], options_.for_passes));
  }
  if (budget < options_.budget)
    text += "; other processes leave this one " + BytesText(std::max<int64_t>(budget, 0)) + " only";
  return ResourceExhaustedError(std::move(text)).AddDetail({kReason, {}, 0, {}, {}});
}

int64_t Ledger::Figures::total() const {
  return std::accumulate(held.begin(), held.end(), int64_t{0});
}

Ledger::Figures Ledger::figures() const {
  const int64_t budget = BudgetFor(MemoryKind::kTraining);
  const std::lock_guard lock(mutex_);
  return {.budget = budget,
          .held = held_,
          .free = std::max<int64_t>(FreeFor(MemoryKind::kTraining, budget), 0),
          .peak = peak_};
}

void Ledger::ResetPeak() {
  const std::lock_guard lock(mutex_);
  peak_ = total_;
}

bool IsMemoryFull(const Status& status) {
  return !status.details().empty() && status.details().front().reason == kReason;
}

}  // namespace graft::worker::engine
