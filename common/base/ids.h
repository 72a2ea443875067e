#pragma once
/// Names of things: tenant, job, adapter. Time in the store's unit.

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft {

/// Wall clock, microseconds since 1970 UTC: what rows carry and what leases expire by.
using TimeUs = int64_t;

/// Port. Everything that decides by time takes one, so that tests run in virtual time.
/// Thread safety: thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeUs Now() = 0;
};

/// The machine's clock.
Clock& SystemClock();

/// A clock that stands still until it is told to move.
/// Thread safety: thread-safe.
class FakeClock : public Clock {
 public:
  explicit FakeClock(TimeUs start = 1'700'000'000'000'000) : now_(start) {}
  TimeUs Now() override { return now_; }
  void Advance(TimeUs us) { now_ += us; }

 private:
  std::atomic<TimeUs> now_;
};

/// Returns 26 lower-case characters that sort by time: 10 of milliseconds, 16 random. Within one
/// millisecond each is the one before plus one, so one process's ids sort by call.
/// Thread safety: thread-safe. Source: the ULID layout, its monotonic form.
std::string NewId(TimeUs now);

/// True for [a-z0-9] followed by up to 62 of [a-z0-9._-]: what users may call an adapter, an
/// alias or a tenant. Such a name is safe as one path segment.
bool IsValidName(std::string_view name);

/// The same with capitals: bases are called as their folders are, those of the Hub often so.
bool IsValidBaseName(std::string_view name);

/// InvalidArgument with the rule if !IsValidBaseName. `field` is the request's field path.
Status CheckBaseName(std::string_view name, std::string_view field);

/// InvalidArgument with the rule if !IsValidName. `what` is the noun ("adapter"), `field` the
/// request's field path.
Status CheckName(std::string_view name, std::string_view what, std::string_view field);

inline constexpr std::string_view kDefaultTenant = "default";

}  // namespace graft
