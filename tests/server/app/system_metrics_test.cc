#include "server/app/system_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace graft::server::app {
namespace {

using testing::ElementsAre;
using testing::Key;

/// Value of each series: name, then the value of its only label.
std::map<std::string, double> Values(const SystemMetrics& metrics) {
  std::map<std::string, double> values;
  for (const auto& family : metrics.Collect()) {
    for (const auto& metric : family.metric) {
      const std::string label = metric.label.empty() ? "" : " " + metric.label[0].value;
      values[family.name + label] = metric.gauge.value;
    }
  }
  return values;
}

TEST(SystemMetricsTest, MemoryAndDiskHavePlausibleSizes) {
  auto values = Values(SystemMetrics("/tmp"));

  EXPECT_GT(values["process_resident_memory_bytes"], 1 << 20);
  EXPECT_GT(values["graft_data_disk_bytes total"], 1 << 20);
  EXPECT_GT(values["graft_data_disk_bytes free"], 0);
  EXPECT_LE(values["graft_data_disk_bytes free"], values["graft_data_disk_bytes total"]);
}

TEST(SystemMetricsTest, DiskThatCannotBeReadIsLeftOut) {
  EXPECT_THAT(Values(SystemMetrics("/no/such/folder")),
              ElementsAre(Key("process_resident_memory_bytes")));
}

}  // namespace
}  // namespace graft::server::app
