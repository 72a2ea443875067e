#pragma once
/// Uploaded files as the object store keeps them: the bytes, and beside them info.json, which says
/// what they came as. An upload is there if its info.json is.
/// Thread safety: free functions; they block.

#include <string>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/objects/object_store.h"

namespace graft::server::intake {

struct Upload {
  std::string sha256;     ///< Of its bytes: what names it.
  std::string file_name;  ///< Empty if its info.json is damaged.
  int64_t bytes = 0;
  TimeUs create_time = 0;  ///< When its bytes came first.
};

/// What is kept of an upload. Costs a Get; also a Stat of what an older server stored, which kept
/// no time: that of its bytes stands for it.
/// Errors: NotFound.
StatusOr<Upload> FindUpload(objects::ObjectStore& store, const std::string& tenant,
                            const std::string& sha256);

/// Keeps what an uploaded file is called, and that it came now; returns what is kept. A name that
/// tells a format stays: a later upload of the same bytes doesn't change how those who named the
/// earlier one are read. One that tells none gives way to the later one. The time stays in either
/// case, for the bytes do, and so does a list's order by it.
StatusOr<Upload> KeepUploadName(objects::ObjectStore& store, const std::string& tenant,
                                const std::string& sha256, const std::string& file_name,
                                int64_t bytes);

/// How a data set names an upload: by its bytes and the name that they came with, which tells their
/// format; by its bytes alone if `file_name` is empty.
std::string UploadUri(const std::string& sha256, const std::string& file_name);

}  // namespace graft::server::intake
