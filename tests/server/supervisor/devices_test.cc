#include "server/supervisor/devices.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"

namespace graft::server::supervisor {
namespace {

using testing::ElementsAre;

class DevicesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_.emplace(std::move(*folder));
  }
  void AddProc(const std::string& name) {
    std::filesystem::create_directories(root() / "proc/driver/nvidia/gpus" / name);
  }
  void AddDev(const std::string& name) {
    std::filesystem::create_directories(root() / "dev");
    std::ofstream(root() / "dev" / name) << "";
  }
  std::filesystem::path root() const { return folder_->path(); }
  std::optional<TempFolder> folder_;
};

TEST_F(DevicesTest, MachineWithoutGpuGetsOneCpuWorker) {
  EXPECT_THAT(FindDevices(root()), ElementsAre("cpu"));
}

TEST_F(DevicesTest, OneWorkerForEachGpu) {
  AddProc("0000:01:00.0");
  AddProc("0000:02:00.0");
  AddDev("nvidia0");
  AddDev("nvidia1");
  AddDev("nvidiactl");
  AddDev("nvidia-uvm");
  AddDev("nvidia");

  EXPECT_THAT(FindDevices(root()), ElementsAre("cuda:0", "cuda:1"));
}

TEST_F(DevicesTest, ContainerGetsOnlyTheGpusItCanOpen) {
  AddProc("0000:01:00.0");
  AddProc("0000:02:00.0");
  AddDev("nvidia1");

  EXPECT_THAT(FindDevices(root()), ElementsAre("cuda:0"));
}

TEST_F(DevicesTest, DriverWithoutDeviceFilesMeansNoGpu) {
  AddProc("0000:01:00.0");

  EXPECT_THAT(FindDevices(root()), ElementsAre("cpu"));
}

}  // namespace
}  // namespace graft::server::supervisor
