#pragma once
/// Turns a dataset's URIs into files to read: file:// inside the allowed folders,
/// graft://datasets/<sha256>[/<file name>] for uploads.

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/ingest.h"
#include "common/objects/object_store.h"
#include "common/spec/job_spec.h"

namespace graft::server::intake {

/// Thread safety: const methods only; reads disk.
class DatasetSources {
 public:
  /// `roots` are the folders that file:// may name; none means that file:// is off.
  DatasetSources(std::vector<std::filesystem::path> roots, objects::ObjectStore& objects);

  /// Finds what `uri` names. `field` is its path in the request. A file is opened here and checked
  /// once it is open, and its `open` reads from that descriptor: a link that is swapped in between
  /// leads nowhere.
  /// Errors: InvalidArgument if it isn't a URI that graft reads; PermissionDenied if a path, with
  /// every link and .. resolved, lies outside the roots, or can't be read; NotFound if there is no
  /// such file or upload; Unimplemented for schemes to come. A path outside the roots looks the
  /// same whether it exists or not.
  StatusOr<datasets::SourceFile> Resolve(const std::string& tenant, const std::string& uri,
                                         const std::string& field) const;

  /// Resolves every URI of `dataset`, whose columns are those of a task of this kind.
  StatusOr<datasets::IngestSpec> Resolve(const std::string& tenant,
                                         const spec::DatasetSpec& dataset,
                                         tasks::Kind kind = tasks::kDefaultKind) const;

 private:
  StatusOr<datasets::SourceFile> ResolveFile(const std::string& uri) const;
  StatusOr<datasets::SourceFile> ResolveUpload(const std::string& tenant,
                                               const std::string& uri) const;

  std::vector<std::filesystem::path> roots_;  ///< Without links.
  objects::ObjectStore& objects_;
};

}  // namespace graft::server::intake
