#pragma once
/// Small tools of the service bench: quantiles, fsync in turns, a worker's counters, calls that
/// must succeed.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace graft::bench {

template <typename T>
T Must(StatusOr<T> result) {
  if (result.ok()) return std::move(*result);
  std::fprintf(stderr, "service_bench: %s\n", result.status().ToString().c_str());
  std::exit(2);
}

double Milliseconds(const std::function<void()>& work);

struct Quantiles {
  double p50 = 0, p99 = 0, max = 0;
};
/// Prints a line about `ms` and returns its quantiles. Requires: not empty.
Quantiles Print(const char* what, std::vector<double> ms);
/// Prints a claim with its figures; returns whether it holds.
bool Claim(bool holds, const char* format, double figure, double bound);

/// Milliseconds of appending and syncing 4 KiB under `folder`: the least that any durable
/// acceptance costs.
double Fsync(const std::filesystem::path& folder);

/// Resident set of a process, in MiB.
double ResidentMiB(int pid);

/// The value of one sample ("graft_adapter_bytes{tier=\"device\"}") of a /metrics page on
/// 127.0.0.1; 0 if it isn't there.
double Metric(int port, const std::string& sample);

}  // namespace graft::bench
