#pragma once
/// Who holds how much of a device's memory: the one account of all that is kept on it. What takes
/// memory for longer than a moment reserves it here first, so that the sum stays within one budget,
/// whoever asks, and what is told as free is what can be had.
///
/// It counts promises and allocates nothing. Passes (scratch) may use whatever nobody else has; of
/// the others `for_passes` bytes are kept back, for what is resident must leave room to compute.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::worker::engine {

enum class MemoryKind {
  kBase,        ///< Frozen weights, in each form that is resident.
  kAdapter,     ///< Versions that are resident.
  kKeysValues,  ///< Of texts that are being generated.
  kTraining,    ///< Jobs: parameters, moments, and what their passes keep.
  kScratch,     ///< Of passes that serve, and of loading.
};
inline constexpr size_t kMemoryKinds = 5;

class Ledger;

/// Bytes that are reserved, until it is destroyed. Moving leaves an empty one.
/// Thread safety: as a value.
class Holding {
 public:
  Holding() = default;
  Holding(Holding&& other) noexcept { *this = std::move(other); }
  Holding& operator=(Holding&& other) noexcept;
  ~Holding() { Release(); }

  int64_t bytes() const { return bytes_; }
  /// Makes it as large as that. Errors: as Ledger::Reserve, then it is as before; never if it
  /// shrinks. Requires: it was reserved.
  Status Resize(int64_t bytes);
  /// The same, but nothing leaves for it: false if it isn't free. Requires: it was reserved.
  bool ResizeIfFree(int64_t bytes);
  void Release();

 private:
  friend class Ledger;
  Holding(std::shared_ptr<Ledger> ledger, MemoryKind kind, int64_t bytes, std::string what)
      : ledger_(std::move(ledger)), kind_(kind), bytes_(bytes), what_(std::move(what)) {}

  std::shared_ptr<Ledger> ledger_;
  MemoryKind kind_ = MemoryKind::kScratch;
  int64_t bytes_ = 0;
  std::string what_;
};

/// Ownership: lives as long as a Holding of it.
/// Thread safety: thread-safe.
class Ledger : public std::enable_shared_from_this<Ledger> {
 public:
  struct Options {
    int64_t budget = 0;  ///< Bytes that all kinds may have together.
    /// Of the budget, kept back for passes. A constant, so that what fits once fits again.
    int64_t for_passes = 0;
    /// What this process can have on its device in all, as others leave it now; empty: all.
    std::function<int64_t()> attainable = {};
  };
  /// Lets go of `bytes` of what is only kept for later use, or of all of it if that is less. Called
  /// by whoever reserves, without a lock; must not reserve.
  using Reclaim = std::function<void(int64_t bytes)>;

  static std::shared_ptr<Ledger> Create(Options options);
  /// Called before anything is reserved by another thread; empty: nothing can leave.
  void SetReclaim(Reclaim reclaim) { reclaim_ = std::move(reclaim); }

  /// Takes `bytes`, >= 0, for `what` ("the base minilm"), which messages name.
  /// Errors: ResourceExhausted with reason MEMORY_FULL and the numbers, if it doesn't fit when all
  /// that is idle has left.
  StatusOr<Holding> Reserve(MemoryKind kind, int64_t bytes, std::string what);
  /// The same for as much as is free of `most`, for which nothing leaves, but `least` in any case.
  StatusOr<Holding> ReserveUpTo(MemoryKind kind, int64_t most, int64_t least, std::string what);

  struct Figures {
    int64_t budget = 0;  ///< Now: less than the option's if other processes leave less.
    std::array<int64_t, kMemoryKinds> held{};
    int64_t free = 0;  ///< What another kind than passes could take.
    int64_t peak = 0;  ///< Most that was held at once since ResetPeak.

    int64_t of(MemoryKind kind) const { return held[static_cast<size_t>(kind)]; }
    int64_t total() const;
  };
  Figures figures() const;
  /// What another kind than passes could take if so many bytes of what is held left first.
  int64_t FreeIfLeft(int64_t bytes) const;
  int64_t for_passes() const { return options_.for_passes; }
  /// What can be held but by passes if nothing else is and no other process is there.
  int64_t capacity() const { return options_.budget - options_.for_passes; }
  void ResetPeak();

 private:
  friend class Holding;
  explicit Ledger(Options options) : options_(std::move(options)) {}
  /// What all kinds may have now, as `kind` is asked for.
  int64_t BudgetFor(MemoryKind kind) const;
  /// Below 0 if others took what was promised. Requires: mutex_.
  int64_t FreeFor(MemoryKind kind, int64_t budget) const;
  /// Takes `bytes` if they are free; returns how many are missing.
  int64_t Take(MemoryKind kind, int64_t bytes);
  /// The same, when what is idle has left.
  Status TakeOrReclaim(MemoryKind kind, int64_t bytes, const std::string& what);
  void Give(MemoryKind kind, int64_t bytes);
  Status Refusal(MemoryKind kind, int64_t bytes, const std::string& what) const;

  const Options options_;
  Reclaim reclaim_;
  mutable std::mutex mutex_;
  std::array<int64_t, kMemoryKinds> held_{};  ///< Guarded by mutex_.
  int64_t total_ = 0, peak_ = 0;              ///< Guarded by mutex_.
};

/// True if `status` says that something didn't fit in the ledger.
bool IsMemoryFull(const Status& status);

}  // namespace graft::worker::engine
