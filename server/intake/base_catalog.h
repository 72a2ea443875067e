#pragma once
/// The frozen models under the server's --bases folder: what the server knows of them without
/// holding their weights. Each sub-folder is a HuggingFace model, the folder's name being the
/// base's id.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/templates/chat_files.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::server::intake {

struct Base {
  std::string id;
  std::filesystem::path folder;
  families::Layout layout;
  /// Kept, for reading it takes longer than all else that accepting a small job does.
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer;
  templates::ChatFiles chat;
  Status chat_error;  ///< Why its chat files can't be read; they count for conversations alone.
  std::string fingerprint;
  int64_t weight_bytes = 0;  ///< Of its tensors as stored.
  Status error;              ///< Why it isn't usable; then only id and folder are set.
};
using BasePtr = std::shared_ptr<const Base>;

/// Reads the model in `base.folder` and fills all but id and error, hashing every tensor: minutes
/// for a large one. `cache` keeps fingerprints between starts.
/// Errors: why it isn't usable; ResourceExhausted, Internal or Unavailable if it can't be read now.
Status ReadBase(const std::filesystem::path& cache, Base& base);

/// Keeps what was read until a folder's files change. Two callers who ask for a base that must be
/// read both read it: background/base_finder.h has one read for all.
/// Thread safety: thread-safe. Reads disk: not for the io thread.
class BaseCatalog {
 public:
  using Reader = std::function<Status(const std::filesystem::path& cache, Base& base)>;
  BaseCatalog(std::filesystem::path bases, std::filesystem::path cache, Reader read = &ReadBase);

  /// The ids there are, sorted; usable bases or not.
  std::vector<std::string> Names() const;

  /// The base as it was read, usable or not; nullptr if it must be read first. Only looks at the
  /// sizes and times of its files.
  BasePtr Cached(const std::string& id);

  /// The base, usable or not; reads it if it must.
  /// Errors: NotFound (names the bases there are); ResourceExhausted, Internal or Unavailable if it
  /// can't be read now, which is forgotten: the next call tries again.
  StatusOr<BasePtr> Get(const std::string& id);

  /// As Get. Errors: also FailedPrecondition if it isn't usable, with the reason.
  StatusOr<BasePtr> Find(const std::string& id);

  /// Whether there is a folder of this name, usable as a base or not.
  bool Has(const std::string& id) const;
  /// OK while the folder is there and isn't known to be unusable. Looks at sizes and times only.
  /// Errors: FailedPrecondition with the reason.
  Status Check(const std::string& id);

  const std::filesystem::path& folder() const { return bases_; }

 private:
  struct Entry {
    std::string stamp;  ///< FolderStamp of the files that it was read from.
    BasePtr base;
  };
  Status NoBase(const std::string& id) const;
  BasePtr Known(const std::string& id, const std::string& stamp);

  const std::filesystem::path bases_;
  const std::filesystem::path cache_;
  const Reader read_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

/// FailedPrecondition with the reason if the base isn't usable.
Status CheckUsable(const Base& base);

}  // namespace graft::server::intake
