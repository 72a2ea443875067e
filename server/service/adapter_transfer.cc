#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/artifacts/artifact.h"
#include "common/base/ids.h"
#include "common/base/utf8.h"
#include "common/objects/keys.h"
#include "server/core/registry.h"
#include "server/service/adapter_service.h"
#include "server/service/convert.h"
#include "server/service/merged_export.h"
#include "server/service/model_export.h"
#include "server/service/received.h"

namespace graft::server::service {
namespace {

constexpr size_t kMaxChunk = 1 << 20;
constexpr size_t kMaxFiles = 64;
constexpr size_t kMaxFileName = 255;
constexpr size_t kMaxLeftAside = 10'000;
constexpr size_t kExportChunk = 256 << 10;
constexpr size_t kMaxLabels = 10'000;

Status CheckFileName(const std::string& name) {
  const bool odd = name.empty() || name.size() > kMaxFileName || name == "." || name == ".." ||
                   name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos;
  if (!odd) return OkStatus();
  return InvalidArgumentError("a file's name must be plain, like adapter_config.json, not " +
                              Quoted(name))
      .At("file.name");
}

Status CheckHeader(const graft::v1::ImportAdapterRequest::Header& header) {
  GRAFT_RETURN_IF_ERROR(CheckBaseName(header.base(), "header.base"));
  GRAFT_RETURN_IF_ERROR(CheckName(header.adapter(), "adapter", "header.adapter"));
  if (header.request_id().size() > 128) {
    return InvalidArgumentError("request_id may have up to 128 bytes").At("header.request_id");
  }
  if (header.description().size() > 1024) {
    return InvalidArgumentError("description may have up to 1024 bytes").At("header.description");
  }
  if (static_cast<size_t>(header.label_names_size()) > kMaxLabels) {
    return InvalidArgumentError("there may be up to 10000 label names").At("header.label_names");
  }
  if (header.max_length() < 0)
    return InvalidArgumentError("max_length can't be negative").At("header.max_length");
  return OkStatus();
}

/// Collects a stream's files within what is left of a budget that all imports share, and gives its
/// part back in the end. Confined to the io thread.
class FileCollector {
 public:
  /// Ownership: `held` outlives it.
  FileCollector(int64_t max_bytes, int64_t& held) : max_bytes_(max_bytes), held_(held) {}
  ~FileCollector() { GiveBack(); }
  FileCollector(const FileCollector&) = delete;
  FileCollector& operator=(const FileCollector&) = delete;

  Status Add(graft::v1::ImportAdapterRequest& message) {
    if (!message.has_file()) return InvalidArgumentError("behind the header come files").At("file");
    const std::string& name = message.file().name();
    const std::string& chunk = message.file().chunk();
    if (chunk.size() > kMaxChunk)
      return InvalidArgumentError("chunks may have up to 1 MiB").At("file.chunk");
    if (name != current_ && files_.contains(name)) {
      return InvalidArgumentError("the chunks of " + Quoted(name) + " must follow one another")
          .At("file.name");
    }
    hash_.Update(chunk);
    // Whether a graft.json comes isn't known yet.
    if (!artifacts::MayBeRead(name, /*is_version=*/true)) {
      // Nobody reads it: its bytes pass by, and only its name is kept, to be shown.
      left_aside_.insert(Printable(name, kMaxFileName));
      if (left_aside_.size() <= kMaxLeftAside) return OkStatus();
      return ResourceExhaustedError("the folder holds more than 10000 files that aren't read");
    }
    GRAFT_RETURN_IF_ERROR(CheckFileName(name));
    GRAFT_RETURN_IF_ERROR(Take(static_cast<int64_t>(chunk.size())));
    current_ = name;
    files_[name] += chunk;
    if (files_.size() > kMaxFiles)
      return ResourceExhaustedError("an imported folder may have up to 64 files");
    return OkStatus();
  }
  /// OK if the chunks are those that the client sent.
  Status Check(const std::string& declared) {
    const std::string arrived = hash_.HexDigest();
    return arrived == declared ? OkStatus() : ChangedOnTheWay(arrived, declared);
  }
  artifacts::Files TakeFiles() {
    // By name and empty: an import says which files it left aside, and what pickles it would need.
    for (const std::string& name : left_aside_) files_[name];
    return std::move(files_);
  }
  /// The files' memory is free again.
  void GiveBack() { held_ -= std::exchange(total_, 0); }

 private:
  Status Take(int64_t bytes) {
    if (total_ + bytes > max_bytes_) {
      return ResourceExhaustedError(
          fmt::format("an imported folder may have up to {} bytes", max_bytes_));
    }
    if (held_ + bytes > max_bytes_) {
      return ResourceExhaustedError(
          fmt::format("other imports hold {} of the {} bytes that the server keeps for imports; "
                      "try again when they are done",
                      held_ - total_, max_bytes_));
    }
    total_ += bytes;
    held_ += bytes;
    return OkStatus();
  }

  const int64_t max_bytes_;
  int64_t& held_;      ///< By all imports.
  int64_t total_ = 0;  ///< By this one.
  std::string current_;
  Sha256 hash_;
  artifacts::Files files_;
  std::set<std::string> left_aside_;
};

/// NOT_FOUND would read as an unknown adapter: a file that the folder lacks is a fault of the
/// folder.
Status BadFolder(const Status& status) {
  const bool lacks = status.code() == StatusCode::kNotFound;
  Status bad =
      Retold(status, lacks ? StatusCode::kInvalidArgument : status.code(), status.message());
  if (bad.details().empty()) return std::move(bad).At("file", "BAD_ADAPTER_FOLDER");
  return bad;
}

struct ImportJob {
  std::string tenant;
  graft::v1::ImportAdapterRequest::Header header;
  intake::BasePtr base;
  artifacts::Files files;
};

/// The row that is to be, and what an import says beside it.
struct StoredImport {
  core::Version version;
  std::vector<std::string> warnings, left_aside;
};

StatusOr<artifacts::Imported> CheckImport(ImportJob& job) {
  const auto& header = job.header;
  const families::Layout& layout = job.base->layout;
  artifacts::ImportRequest import;
  import.base = header.base();
  import.base_fingerprint = job.base->fingerprint;
  import.tokenizer = job.base->tokenizer->fingerprint();
  import.label_names = {header.label_names().begin(), header.label_names().end()};
  import.max_length = header.max_length();
  import.base_tokenizer = job.base->tokenizer.get();
  if (header.max_length() > layout.max_positions) {
    return InvalidArgumentError(fmt::format("max_length may be up to {} for {}",
                                            layout.max_positions, header.base()))
        .At("header.max_length");
  }
  GRAFT_ASSIGN_OR_RETURN(import.tokenizer_files, tokenizers::ReadTokenizerFiles(job.base->folder));
  auto imported = artifacts::Import(import, layout, job.files);
  if (!imported.ok()) return BadFolder(imported.status());
  return imported;
}

/// Checks the files against the base, stores them and returns the row that is to be. For the disk
/// threads.
StatusOr<StoredImport> StoreImport(objects::ObjectStore& store, ImportJob job) {
  const std::string& tenant = job.tenant;
  const auto& header = job.header;
  const families::Layout& layout = job.base->layout;
  GRAFT_ASSIGN_OR_RETURN(artifacts::Imported imported, CheckImport(job));
  const artifacts::Manifest& manifest = imported.manifest;

  core::Version version;
  version.tenant = tenant;
  version.adapter = header.adapter();
  version.sha256 = manifest.sha256;
  version.artifact_prefix = objects::ImportPrefix(tenant, NewId(SystemClock().Now()));
  version.base = header.base();
  version.base_proved = manifest.record.base_proved;
  if (version.base_proved) version.base_fingerprint = manifest.identity.base_fingerprint;
  const methods::MethodSpec& method = *manifest.identity.method;
  version.method_json = Json{{std::string(method.name()), method.ToJson()}}.dump();
  version.label_names = manifest.identity.task.label_names;
  version.max_length = manifest.identity.max_length;
  for (const auto& tensor : method.Tensors(layout, manifest.identity.task)) {
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= size;
    version.parameters += elements;
  }
  version.request_id = header.request_id();
  version.description = header.description();
  for (const auto& [name, bytes] : job.files) {
    version.bytes += static_cast<int64_t>(bytes.size());
    const Status stored = store.Put(version.artifact_prefix + name, bytes);
    if (stored.ok()) continue;
    // The collector would find them too, but a full disk needs the room now.
    (void)objects::DeleteAll(store, version.artifact_prefix);
    return stored;
  }
  return StoredImport{std::move(version), std::move(imported.warnings),
                      std::move(imported.left_aside)};
}

/// The import stands although its promotion failed, and what it has to say with it.
Status NotPromoted(const Status& status, const std::string& name,
                   const std::vector<std::string>& warnings) {
  std::string message = "imported as " + name + ", but not made live: " + status.message();
  for (const std::string& warning : warnings) message += "; warning: " + warning;
  return Retold(status, status.code(), message);
}

/// The files that come behind the header, up to their hash, which is checked.
calls::Awaitable<Status> Collect(calls::StreamReader<graft::v1::ImportAdapterRequest>& reader,
                                 FileCollector& collector) {
  while (co_await reader.Read()) {
    if (!reader.message().has_sha256()) {
      GRAFT_CO_RETURN_IF_ERROR(collector.Add(reader.message()));
      continue;
    }
    GRAFT_CO_RETURN_IF_ERROR(CheckDeclaredHash(reader.message().sha256()));
    co_return collector.Check(reader.message().sha256());
  }
  co_return BrokenOff();
}

/// A file, or a piece of one of `total` bytes, in chunks; an empty one is one empty chunk.
calls::Awaitable<Status> Send(const std::string& name, const std::string& bytes, int64_t total,
                              calls::StreamWriter<graft::v1::ExportAdapterResponse>& writer) {
  for (size_t offset = 0; offset < std::max<size_t>(bytes.size(), 1); offset += kExportChunk) {
    graft::v1::ExportAdapterResponse message;
    message.mutable_file()->set_name(name);
    message.mutable_file()->set_bytes(total);
    message.mutable_file()->set_chunk(bytes.substr(offset, kExportChunk));
    if (!co_await writer.Write(std::move(message)))
      co_return CancelledError("the caller went away");
  }
  co_return OkStatus();
}

}  // namespace

calls::Awaitable<StatusOr<graft::v1::AdapterVersion>> AdapterService::ImportAdapter(
    calls::CallContext& context, calls::StreamReader<graft::v1::ImportAdapterRequest>& reader) {
  if (!co_await reader.Read() || !reader.message().has_header()) {
    co_return InvalidArgumentError("an import begins with a header").At("header");
  }
  const graft::v1::ImportAdapterRequest::Header header = reader.message().header();
  GRAFT_CO_RETURN_IF_ERROR(CheckHeader(header));
  GRAFT_CO_RETURN_IF_ERROR(
      co_await backend_.bases.CheckAdapterName(header.adapter(), "header.adapter"));
  FileCollector collector(backend_.limits.max_import_bytes, import_bytes_);
  GRAFT_CO_RETURN_IF_ERROR(co_await Collect(reader, collector));

  const StatusOr<intake::BasePtr> base = co_await backend_.bases.Find(context, header.base());
  if (!base.ok()) co_return Status(base.status()).At("header.base");
  const auto job =
      std::make_shared<ImportJob>(ImportJob{context.tenant, header, *base, collector.TakeFiles()});
  auto store = [&store = backend_.objects, job] { return StoreImport(store, std::move(*job)); };
  GRAFT_CO_ASSIGN_OR_RETURN(const StoredImport stored,
                            co_await OnDisk(backend_.runtime, std::move(store)));
  core::Version imported = stored.version;
  imported.traceparent = tracing::Traceparent(context.span.context());
  collector.GiveBack();
  struct Result {
    core::Version version;
    core::Adapter adapter;
  };
  auto record = [imported](core::Transaction& tx) -> StatusOr<Result> {
    Result result;
    GRAFT_ASSIGN_OR_RETURN(result.version, core::ImportVersion(tx, imported));
    GRAFT_ASSIGN_OR_RETURN(result.adapter, tx.GetAdapter(imported.tenant, imported.adapter));
    return result;
  };
  StatusOr<Result> recorded = co_await Write(backend_.runtime, backend_.store, std::move(record));
  if (!recorded.ok() || recorded->version.artifact_prefix != imported.artifact_prefix) {
    // Refused, or made by an earlier call. What stays is the collector's.
    auto remove = [&store = backend_.objects, prefix = imported.artifact_prefix] {
      return objects::DeleteAll(store, prefix);
    };
    (void)co_await OnDisk(backend_.runtime, std::move(remove));
  }
  GRAFT_CO_ASSIGN_OR_RETURN(Result result, std::move(recorded));
  const std::string name = VersionName(result.version.adapter, result.version.number);
  for (const std::string& warning : stored.warnings)
    spdlog::warn("the import of {} says: {}", name, warning);
  if (header.promote()) {
    StatusOr<core::Adapter> flipped = co_await Flip(context, result.version, "live", "");
    if (!flipped.ok()) co_return NotPromoted(flipped.status(), name, stored.warnings);
    result.adapter = *std::move(flipped);
  }
  graft::v1::AdapterVersion answer = ToProto(result.version, result.adapter);
  for (const std::string& warning : stored.warnings) answer.add_warnings(warning);
  for (const std::string& file : stored.left_aside) answer.add_files_left_aside(file);
  co_return answer;
}

calls::Awaitable<Status> AdapterService::ExportAdapter(
    calls::CallContext& context, const graft::v1::ExportAdapterRequest& request,
    calls::StreamWriter<graft::v1::ExportAdapterResponse>& writer) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await Resolve(context, request.adapter(), "adapter"));
  auto get = [tenant = context.tenant, id = version.adapter](core::Transaction& tx) {
    return tx.GetAdapter(tenant, id);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Adapter adapter,
                            co_await Read(backend_.runtime, backend_.store, std::move(get)));
  // A whole model has nothing to merge into.
  if (request.merged() && !IsWholeModel(version))
    co_return co_await ExportMerged(version, ToProto(version, adapter), writer);
  using Names = std::vector<std::string>;
  auto list = [&store = backend_.objects, prefix = version.artifact_prefix]() -> StatusOr<Names> {
    return objects::ListAll(store, prefix, kMaxFiles);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Names keys, co_await OnDisk(backend_.runtime, std::move(list)));
  if (keys.empty())
    co_return DataLossError("the files of " + VersionName(version.adapter, version.number) +
                            " are gone");

  ModelExport beside;
  if (IsWholeModel(version)) {
    const StatusOr<intake::BasePtr> base = co_await backend_.bases.Find(version.base);
    auto read = [&store = backend_.objects, version, base] {
      return ExportModel(store, version, base);
    };
    GRAFT_CO_ASSIGN_OR_RETURN(beside, co_await OnDisk(backend_.runtime, std::move(read)));
  }
  graft::v1::ExportAdapterResponse first;
  *first.mutable_version() = ToProto(version, adapter);
  if (!beside.warning.empty()) first.mutable_version()->add_warnings(beside.warning);
  if (!co_await writer.Write(std::move(first))) co_return CancelledError("the caller went away");
  for (const std::string& key : keys) {
    auto stat = [&store = backend_.objects, key]() -> StatusOr<objects::ObjectStore::Info> {
      return store.Stat(key);
    };
    GRAFT_CO_ASSIGN_OR_RETURN(const objects::ObjectStore::Info info,
                              co_await OnDisk(backend_.runtime, std::move(stat)));
    for (uint64_t offset = 0;;) {
      auto read = [&store = backend_.objects, key, offset] {
        return store.ReadRange(key, offset, kExportChunk);
      };
      GRAFT_CO_ASSIGN_OR_RETURN(std::string chunk,
                                co_await OnDisk(backend_.runtime, std::move(read)));
      if (chunk.empty() && offset > 0) break;
      offset += chunk.size();
      const bool last = chunk.size() < kExportChunk;
      graft::v1::ExportAdapterResponse message;
      message.mutable_file()->set_name(key.substr(version.artifact_prefix.size()));
      message.mutable_file()->set_bytes(static_cast<int64_t>(info.bytes));
      message.mutable_file()->set_chunk(std::move(chunk));
      if (!co_await writer.Write(std::move(message)))
        co_return CancelledError("the caller went away");
      if (last) break;
    }
  }
  for (const auto& [name, bytes] : beside.files)
    GRAFT_CO_RETURN_IF_ERROR(
        co_await Send(name, bytes, static_cast<int64_t>(bytes.size()), writer));
  co_return OkStatus();
}

calls::Awaitable<Status> AdapterService::ExportMerged(
    const core::Version version, graft::v1::AdapterVersion described,
    calls::StreamWriter<graft::v1::ExportAdapterResponse>& writer) {
  const StatusOr<intake::BasePtr> base = co_await backend_.bases.Find(version.base);
  if (!base.ok()) co_return Status(base.status());
  auto open = [&store = backend_.objects, version, base = *base] {
    return MergedExport::Open(store, version, base);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const std::shared_ptr<MergedExport> merged,
                            co_await OnDisk(backend_.runtime, std::move(open)));
  graft::v1::ExportAdapterResponse first;
  *first.mutable_version() = std::move(described);
  if (!co_await writer.Write(std::move(first))) co_return CancelledError("the caller went away");
  for (;;) {
    auto next = [merged] { return merged->Next(); };
    GRAFT_CO_ASSIGN_OR_RETURN(const MergedExport::Piece piece,
                              co_await OnDisk(backend_.runtime, std::move(next)));
    if (piece.file.empty()) co_return OkStatus();
    GRAFT_CO_RETURN_IF_ERROR(co_await Send(piece.file, piece.bytes, piece.total, writer));
  }
}

}  // namespace graft::server::service
