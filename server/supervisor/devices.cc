#include "server/supervisor/devices.h"

#include <algorithm>
#include <cctype>
#include <system_error>

namespace graft::server::supervisor {
namespace {

template <typename Predicate>
size_t CountEntries(const std::filesystem::path& folder, Predicate matches) {
  std::error_code error;
  size_t count = 0;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (matches(it->path().filename().string())) ++count;
  }
  return count;
}

bool IsDeviceFile(const std::string& name) {
  constexpr std::string_view kPrefix = "nvidia";
  return name.size() > kPrefix.size() && name.starts_with(kPrefix) &&
         std::all_of(name.begin() + kPrefix.size(), name.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

std::vector<std::string> FindDevices(const std::filesystem::path& root) {
  size_t gpus =
      CountEntries(root / "proc/driver/nvidia/gpus", [](const std::string&) { return true; });
  // A container sees every GPU of the machine under /proc but only its own under /dev.
  const size_t files = CountEntries(root / "dev", IsDeviceFile);
  gpus = gpus == 0 || files == 0 ? files : std::min(gpus, files);
  std::vector<std::string> devices;
  for (size_t i = 0; i < gpus; ++i) devices.push_back("cuda:" + std::to_string(i));
  if (devices.empty()) devices.emplace_back("cpu");
  return devices;
}

}  // namespace graft::server::supervisor
