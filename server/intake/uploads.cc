#include "server/intake/uploads.h"

#include "common/base/json.h"
#include "common/datasets/records.h"
#include "common/objects/keys.h"

namespace graft::server::intake {
namespace {

constexpr uint64_t kMaxInfoBytes = 64 << 10;
constexpr const char* kFileName = "file_name";
constexpr const char* kBytes = "bytes";
constexpr const char* kCreateTime = "create_time_us";

/// 0 if it says none.
int64_t NumberIn(const Json& info, const char* name) {
  const auto found = info.find(name);
  return found != info.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

/// An empty object if the text is damaged.
Json Parse(const StatusOr<std::string>& text) {
  if (!text.ok()) return Json::object();
  StatusOr<Json> json = ParseJson(*text, "an upload's info.json");
  return json.ok() && json->is_object() ? *std::move(json) : Json::object();
}

/// The bytes', or if an upload lost them its name's.
StatusOr<objects::ObjectStore::Info> StatEither(objects::ObjectStore& store,
                                                const std::string& tenant,
                                                const std::string& sha256) {
  auto data = store.Stat(objects::UploadDataKey(tenant, sha256));
  if (data.ok() || data.status().code() != StatusCode::kNotFound) return data;
  return store.Stat(objects::UploadInfoKey(tenant, sha256));
}

}  // namespace

StatusOr<Upload> FindUpload(objects::ObjectStore& store, const std::string& tenant,
                            const std::string& sha256) {
  const auto missing = [&] { return NotFoundError("no data set " + sha256 + " was uploaded"); };
  const auto text = store.Get(objects::UploadInfoKey(tenant, sha256), kMaxInfoBytes);
  if (text.status().code() == StatusCode::kNotFound) return missing();
  const bool too_large = text.status().code() == StatusCode::kInvalidArgument;
  if (!text.ok() && !too_large) return text.status();

  const Json info = Parse(text);
  Upload upload{.sha256 = sha256,
                .file_name = {},
                .bytes = NumberIn(info, kBytes),
                .create_time = NumberIn(info, kCreateTime)};
  if (const auto name = info.find(kFileName); name != info.end() && name->is_string())
    upload.file_name = name->get<std::string>();
  if (upload.bytes > 0 && upload.create_time > 0) return upload;
  const auto stat = StatEither(store, tenant, sha256);
  if (stat.status().code() == StatusCode::kNotFound) return missing();  // Deleted since.
  if (!stat.ok()) return stat.status();
  if (upload.bytes <= 0) upload.bytes = static_cast<int64_t>(stat->bytes);
  if (upload.create_time <= 0) upload.create_time = stat->written;
  return upload;
}

StatusOr<Upload> KeepUploadName(objects::ObjectStore& store, const std::string& tenant,
                                const std::string& sha256, const std::string& file_name,
                                int64_t bytes) {
  StatusOr<Upload> kept = FindUpload(store, tenant, sha256);
  if (!kept.ok() && kept.status().code() != StatusCode::kNotFound) return kept;
  if (kept.ok() && datasets::FormatOf(kept->file_name, {}).ok()) return kept;
  const Upload upload{.sha256 = sha256,
                      .file_name = file_name,
                      .bytes = bytes,
                      .create_time = kept.ok() ? kept->create_time : SystemClock().Now()};
  GRAFT_RETURN_IF_ERROR(store.Put(
      objects::UploadInfoKey(tenant, sha256),
      Json{{kFileName, upload.file_name}, {kBytes, upload.bytes}, {kCreateTime, upload.create_time}}
          .dump()));
  return upload;
}

std::string UploadUri(const std::string& sha256, const std::string& file_name) {
  return "graft://datasets/" + sha256 + (file_name.empty() ? "" : "/" + file_name);
}

}  // namespace graft::server::intake
