#pragma once
/// Where things lie in the object store. Server and workers agree on it; every key carries its
/// tenant.
///   tenants/<tenant>/
///     datasets/<sha256>                            an ingested data set: what workers train on
///     uploads/<sha256>/data, .../info.json         a file as a client sent it; its name and time
///     attempts/<job>/<token>/checkpoints/<step>
///     attempts/<job>/<token>/artifact/<file>       a trained version's files
///     attempts/<job>/<token>/kept/<step>/<file>    those of a checkpoint that is kept as a version
///     imports/<id>/artifact/<file>                 an imported version's files
/// Only rows give these meaning: an attempt's objects count once a fenced row points at them.

#include <cstdint>
#include <string>

namespace graft::objects {

inline std::string TenantPrefix(const std::string& tenant) { return "tenants/" + tenant + "/"; }

inline std::string DatasetsPrefix(const std::string& tenant) {
  return TenantPrefix(tenant) + "datasets/";
}
inline std::string DatasetKey(const std::string& tenant, const std::string& sha256) {
  return DatasetsPrefix(tenant) + sha256;
}

inline std::string UploadsPrefix(const std::string& tenant) {
  return TenantPrefix(tenant) + "uploads/";
}
inline std::string UploadPrefix(const std::string& tenant, const std::string& sha256) {
  return UploadsPrefix(tenant) + sha256 + "/";
}
inline std::string UploadDataKey(const std::string& tenant, const std::string& sha256) {
  return UploadPrefix(tenant, sha256) + "data";
}
inline std::string UploadInfoKey(const std::string& tenant, const std::string& sha256) {
  return UploadPrefix(tenant, sha256) + "info.json";
}

/// Of all attempts of a job.
inline std::string JobPrefix(const std::string& tenant, const std::string& job) {
  return TenantPrefix(tenant) + "attempts/" + job + "/";
}
/// Of the attempt with this fencing token: only the lease's holder writes below it.
inline std::string AttemptPrefix(const std::string& tenant, const std::string& job, int64_t token) {
  return JobPrefix(tenant, job) + std::to_string(token) + "/";
}
inline std::string CheckpointKey(const std::string& tenant, const std::string& job, int64_t token,
                                 int64_t step) {
  return AttemptPrefix(tenant, job, token) + "checkpoints/" + std::to_string(step);
}
/// A version's files are these prefixes with the file's name behind.
inline std::string ArtifactPrefix(const std::string& tenant, const std::string& job,
                                  int64_t token) {
  return AttemptPrefix(tenant, job, token) + "artifact/";
}
inline std::string KeptPrefix(const std::string& tenant, const std::string& job, int64_t token,
                              int64_t step) {
  return AttemptPrefix(tenant, job, token) + "kept/" + std::to_string(step) + "/";
}
inline std::string ImportPrefix(const std::string& tenant, const std::string& id) {
  return TenantPrefix(tenant) + "imports/" + id + "/artifact/";
}

}  // namespace graft::objects
