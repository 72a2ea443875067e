#pragma once
/// The folder that holds everything which must not be lost, and the lock that keeps a second server
/// out of it.

#include <filesystem>
#include <string>

#include "common/base/status.h"

namespace graft::server::app {

/// Holds the lock until it goes away, or the process ends in whatever way.
class DataFolder {
 public:
  /// Makes the folder if need be, readable by its user only.
  /// Errors: FailedPrecondition if another server uses it; PermissionDenied, ResourceExhausted.
  static StatusOr<DataFolder> Open(const std::filesystem::path& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  const std::filesystem::path& path() const { return path_; }  ///< Absolute.
  /// The server's name, made at the first start: after a restart it is the same.
  const std::string& server_id() const { return server_id_; }

 private:
  DataFolder() = default;
  std::filesystem::path path_;
  std::string server_id_;
  int lock_ = -1;
};

}  // namespace graft::server::app
