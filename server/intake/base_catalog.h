#pragma once
/// The frozen models under the server's --bases folder: what the server knows of them without
/// holding their weights. Each sub-folder is a HuggingFace model, the folder's name being the
/// base's id.

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/families/layout.h"

namespace graft::server::intake {

struct Base {
  std::string id;
  std::filesystem::path folder;
  families::Layout layout;
  std::string fingerprint;
  int64_t weight_bytes = 0;  ///< Of its tensors as stored.
  Status error;              ///< Why it isn't usable; then only id and folder are set.
};

/// Thread safety: thread-safe. Reads disk: not for the io thread.
class BaseCatalog {
 public:
  /// `cache` keeps fingerprints between starts.
  BaseCatalog(std::filesystem::path bases, std::filesystem::path cache);

  /// Every base, usable or not, by id. A folder is read again when its config or weights change.
  std::vector<std::shared_ptr<const Base>> List();
  /// Errors: NotFound (names the bases there are); FailedPrecondition if it isn't usable, with the
  /// reason.
  StatusOr<std::shared_ptr<const Base>> Find(const std::string& id);

  const std::filesystem::path& folder() const { return bases_; }

 private:
  struct Entry {
    std::string stamp;  ///< Sizes and times of the files that it was read from.
    std::shared_ptr<const Base> base;
  };
  std::shared_ptr<const Base> Refresh(const std::string& id);

  const std::filesystem::path bases_;
  const std::filesystem::path cache_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace graft::server::intake
