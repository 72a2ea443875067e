#pragma once
/// Which devices this machine's workers get, found without a CUDA library.

#include <filesystem>
#include <string>
#include <vector>

namespace graft::server::supervisor {

/// One "cuda:<i>" for each GPU, else one "cpu". Looks at `root`/proc/driver/nvidia/gpus, then at
/// `root`/dev/nvidia<i> (containers often have only these).
std::vector<std::string> FindDevices(const std::filesystem::path& root = "/");

}  // namespace graft::server::supervisor
