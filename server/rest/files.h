#pragma once
/// /v1/files: uploaded data sets in the form of OpenAI's files. A file's id is "file-" and the
/// SHA-256 of its bytes.
/// Source: OpenAI's OpenAIFile, CreateFileRequest, ListFilesResponse.

#include <string>

#include "common/base/json.h"
#include "graft/v1/dataset.pb.h"
#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// `services` outlives them.
http::Handler UploadFileHandler(service::Services& services);
http::Handler ListFilesHandler(service::Services& services);
http::Handler GetFileHandler(service::Services& services);
http::Handler ReadFileHandler(service::Services& services);
http::Handler DeleteFileHandler(service::Services& services);

/// "datasets/<sha256>" of "file-<sha256>". Errors: NotFound at `field` for any other id.
StatusOr<std::string> DatasetName(const std::string& file_id, const std::string& field);
std::string FileId(const std::string& sha256);

}  // namespace graft::server::rest
