#include "server/app/system_metrics.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>

namespace graft::server::app {
namespace {

prometheus::ClientMetric Gauge(double value,
                               std::vector<prometheus::ClientMetric::Label> labels = {}) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  return metric;
}

}  // namespace

std::vector<prometheus::MetricFamily> SystemMetrics::Collect() const {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families;
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident_pages = 0;
  if (statm >> pages >> resident_pages) {
    const auto page = static_cast<double>(::sysconf(_SC_PAGE_SIZE));
    families.push_back({"process_resident_memory_bytes",
                        "Memory of this process that is in RAM",
                        MetricType::Gauge,
                        {Gauge(resident_pages * page)}});
  }
  struct statvfs disk {};
  if (!data_.empty() && ::statvfs(data_.c_str(), &disk) == 0) {
    const auto block = static_cast<double>(disk.f_frsize);
    families.push_back({"graft_data_disk_bytes",
                        "The disk that holds the data folder: all of it, and what is free for us",
                        MetricType::Gauge,
                        {Gauge(static_cast<double>(disk.f_blocks) * block, {{"kind", "total"}}),
                         Gauge(static_cast<double>(disk.f_bavail) * block, {{"kind", "free"}})}});
  }
  return families;
}

}  // namespace graft::server::app
