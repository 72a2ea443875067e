#pragma once
/// What the machine says about this process: its memory, and the disk that its data lies on.

#include <filesystem>
#include <utility>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

namespace graft::server::app {

/// Looks at each scrape. Thread safety: thread-safe.
class SystemMetrics : public prometheus::Collectable {
 public:
  /// `data` is a folder on the disk to watch; empty for none.
  explicit SystemMetrics(std::filesystem::path data) : data_(std::move(data)) {}

  /// process_resident_memory_bytes and graft_data_disk_bytes{kind="free"|"total"}; what can't be
  /// read is left out.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::filesystem::path data_;
};

}  // namespace graft::server::app
