#pragma once
/// A version merged into its base, as the files of a HuggingFace folder.
/// Thread safety: confined to one thread at a time; reads disks: not for the io thread.

#include <map>
#include <memory>
#include <string>

#include "common/artifacts/merged.h"
#include "common/base/status.h"
#include "common/objects/object_store.h"
#include "server/core/rows.h"
#include "server/intake/base_catalog.h"

namespace graft::server::service {

class MergedExport {
 public:
  /// Reads the version and plans its weights.
  /// Errors: as MergedWeights::Plan; FailedPrecondition if the base or its tokenizer isn't the one
  /// that the version was made on.
  static StatusOr<std::shared_ptr<MergedExport>> Open(objects::ObjectStore& store,
                                                      const core::Version& version,
                                                      const intake::BasePtr& base);

  struct Piece {
    std::string file, bytes;
    int64_t total = 0;  ///< Of the whole file.
  };
  /// The next bytes of the folder, file by file; without a file's name once it is over.
  StatusOr<Piece> Next();

 private:
  MergedExport() = default;
  Status AddTexts(const core::Version& version, const artifacts::Manifest& manifest,
                  const artifacts::Files& files);

  intake::BasePtr base_;
  std::unique_ptr<artifacts::MergedWeights> weights_;
  std::map<std::string, std::string> texts_;  ///< Files beside the weights that are still to come.
};

}  // namespace graft::server::service
