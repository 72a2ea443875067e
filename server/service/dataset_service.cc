#include "server/service/dataset_service.h"

#include <fmt/format.h>

#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "proto/error_info.h"
#include "server/service/convert.h"
#include "server/service/received.h"

namespace graft::server::service {
namespace {

constexpr size_t kMaxChunk = 1 << 20;
constexpr size_t kMaxFileName = 255;

Status CheckFileName(const std::string& name) {
  if (name.empty() || name.size() > kMaxFileName || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return InvalidArgumentError(
               "header.file_name must be a plain name like train.csv, up to 255 bytes")
        .At("header.file_name");
  }
  // An ending that says no format is fine here: the spec that names the data may say it.
  return OkStatus();
}

void Describe(const datasets::SplitReport& from, graft::v1::CheckDatasetResponse::Split& to) {
  to.set_name(from.name);
  to.set_examples(from.examples);
  for (const auto& [label, count] : from.labels) (*to.mutable_labels())[label] = count;
  to.set_min_bytes(from.min_bytes);
  to.set_mean_bytes(from.mean_bytes);
  to.set_max_bytes(from.max_bytes);
}

/// The request's, or what the columns that it names tell.
StatusOr<tasks::TaskSpec> TaskOf(const graft::v1::CheckDatasetRequest& request) {
  if (request.has_task()) {
    GRAFT_ASSIGN_OR_RETURN(const Json json, MessageToJson(request.task()));
    return tasks::Parse(json);
  }
  tasks::TaskSpec task;
  const graft::v1::DatasetSpec& dataset = request.dataset();
  if (!dataset.prompt_column().empty() || !dataset.completion_column().empty() ||
      !dataset.messages_column().empty() || !dataset.tools_column().empty())
    task.kind = tasks::Kind::kCausalLanguageModeling;
  return task;
}

StatusOr<int> MaxLength(int32_t asked, const families::Layout& layout) {
  if (asked == 0) return spec::DefaultMaxLength(tasks::Kind::kCausalLanguageModeling, layout);
  if (asked >= families::kLeastMaxLength && asked <= layout.max_positions) return asked;
  return InvalidArgumentError(fmt::format("max_length must be {} to {} for this base",
                                          families::kLeastMaxLength, layout.max_positions))
      .At("max_length");
}

/// The name is known only behind the last byte: written elsewhere, then moved.
struct Incoming {
  std::unique_ptr<objects::ObjectWriter> writer;
  Sha256 hash;
  int64_t bytes = 0;
};

/// What is kept of it.
StatusOr<intake::Upload> Commit(Incoming& upload, objects::ObjectStore& store,
                                const std::string& tenant, const std::string& declared,
                                const std::string& file_name) {
  const std::string sha256 = upload.hash.HexDigest();
  if (sha256 != declared) return ChangedOnTheWay(sha256, declared);
  const std::string key = objects::UploadDataKey(tenant, sha256);
  if (store.Stat(key).ok()) {
    upload.writer.reset();
  } else {
    GRAFT_RETURN_IF_ERROR(upload.writer->CommitAs(key));
  }
  // Last: an upload without it doesn't exist.
  GRAFT_ASSIGN_OR_RETURN(intake::Upload kept,
                         intake::KeepUploadName(store, tenant, sha256, file_name, upload.bytes));
  if (const Status there = store.Stat(key).status(); !there.ok()) {
    (void)store.Delete(objects::UploadInfoKey(tenant, sha256));
    return AbortedError("the same data was deleted meanwhile; upload it again");
  }
  return kept;
}

/// A file that is being read, and what came of it so far. Confined to one thread at a time.
struct Download {
  explicit Download(std::string its_key) : key(std::move(its_key)) {}
  const std::string key;
  Sha256 hash;
  uint64_t bytes = 0;
};

/// The next piece; one that isn't full is the last.
StatusOr<std::string> ReadOn(Download& download, objects::ObjectStore& store) {
  GRAFT_ASSIGN_OR_RETURN(std::string chunk,
                         store.ReadRange(download.key, download.bytes, kMaxChunk));
  download.hash.Update(chunk);
  download.bytes += chunk.size();
  return chunk;
}

}  // namespace

calls::Awaitable<StatusOr<graft::v1::Dataset>> DatasetService::UploadDataset(
    calls::CallContext& context, calls::StreamReader<graft::v1::UploadDatasetRequest>& reader) {
  if (!co_await reader.Read() || !reader.message().has_header()) {
    co_return InvalidArgumentError("an upload begins with a header that has the file's name")
        .At("header");
  }
  const std::string file_name = reader.message().header().file_name();
  GRAFT_CO_RETURN_IF_ERROR(CheckFileName(file_name));

  auto upload = std::make_shared<Incoming>();
  const std::string temporary =
      objects::TenantPrefix(context.tenant) + "incoming/" + NewId(SystemClock().Now());
  auto open = [upload, temporary, &store = backend_.objects]() -> Status {
    GRAFT_ASSIGN_OR_RETURN(upload->writer, store.OpenWriter(temporary));
    return OkStatus();
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, open));
  std::string declared;
  while (declared.empty() && co_await reader.Read()) {
    if (reader.message().has_sha256()) {
      GRAFT_CO_RETURN_IF_ERROR(CheckDeclaredHash(reader.message().sha256()));
      declared = reader.message().sha256();
      continue;
    }
    if (!reader.message().has_chunk() || reader.message().chunk().size() > kMaxChunk) {
      co_return InvalidArgumentError("behind the header come chunks of up to 1 MiB").At("chunk");
    }
    upload->bytes += static_cast<int64_t>(reader.message().chunk().size());
    if (upload->bytes > backend_.limits.max_upload_bytes) {
      co_return ResourceExhaustedError(fmt::format("an uploaded file may have up to {} bytes",
                                                   backend_.limits.max_upload_bytes));
    }
    auto write = [upload, chunk = std::move(*reader.message().mutable_chunk())]() -> Status {
      upload->hash.Update(chunk);
      return upload->writer->Write(chunk);
    };
    GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, std::move(write)));
  }
  if (declared.empty()) co_return BrokenOff();
  if (upload->bytes == 0) co_return InvalidArgumentError("the uploaded file is empty").At("chunk");

  auto commit = [this, upload, declared, file_name,
                 tenant = context.tenant]() -> StatusOr<intake::Upload> {
    GRAFT_ASSIGN_OR_RETURN(intake::Upload kept,
                           Commit(*upload, backend_.objects, tenant, declared, file_name));
    index_.Note(tenant, kept);
    return kept;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(intake::Upload kept,
                            co_await OnDisk(backend_.runtime, std::move(commit)));
  kept.file_name = file_name;
  co_return ToProto(kept);
}

calls::Awaitable<StatusOr<graft::v1::Dataset>> DatasetService::GetDataset(
    calls::CallContext& context, const graft::v1::GetDatasetRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::Upload upload, co_await Find(context, request.name()));
  co_return ToProto(upload);
}

calls::Awaitable<StatusOr<intake::Upload>> DatasetService::Find(const calls::CallContext& context,
                                                                const std::string& name) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string sha256, ParseName(name, "datasets", "name"));
  auto find = [sha256, tenant = context.tenant, &store = backend_.objects] {
    return intake::FindUpload(store, tenant, sha256);
  };
  StatusOr<intake::Upload> upload = co_await OnDisk(backend_.runtime, std::move(find));
  if (!upload.ok()) co_return Status(upload.status()).At("name");
  co_return upload;
}

calls::Awaitable<Status> DatasetService::ReadDataset(
    calls::CallContext& context, const graft::v1::ReadDatasetRequest& request,
    calls::StreamWriter<graft::v1::ReadDatasetResponse>& writer) {
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::Upload upload, co_await Find(context, request.name()));
  graft::v1::ReadDatasetResponse first;
  *first.mutable_dataset() = ToProto(upload);
  if (!co_await writer.Write(std::move(first))) co_return CancelledError("the caller went away");
  const auto download =
      std::make_shared<Download>(objects::UploadDataKey(context.tenant, upload.sha256));
  for (bool last = false; !last;) {
    auto read = [download, &store = backend_.objects] { return ReadOn(*download, store); };
    StatusOr<std::string> chunk = co_await OnDisk(backend_.runtime, std::move(read));
    if (chunk.status().code() == StatusCode::kNotFound)
      co_return NotFoundError("the data set " + upload.sha256 + " was deleted meanwhile")
          .At("name");
    if (!chunk.ok()) co_return chunk.status();
    last = chunk->size() < kMaxChunk;
    if (chunk->empty()) break;
    graft::v1::ReadDatasetResponse message;
    message.set_chunk(*std::move(chunk));
    if (!co_await writer.Write(std::move(message)))
      co_return CancelledError("the caller went away");
  }
  if (download->hash.HexDigest() == upload.sha256) co_return OkStatus();
  co_return DataLossError("the bytes of the data set " + upload.sha256 +
                          " don't have the hash that names it; they were damaged");
}

calls::Awaitable<StatusOr<graft::v1::CheckDatasetResponse>> DatasetService::CheckDataset(
    calls::CallContext& context, const graft::v1::CheckDatasetRequest& request) {
  intake::CheckOptions options;
  GRAFT_CO_ASSIGN_OR_RETURN(options.task, TaskOf(request));
  StatusOr<spec::DatasetSpec> spec = FromProto(request.dataset(), options.task.kind);
  if (!spec.ok()) co_return spec.status();
  if (!request.base().empty()) {
    if (options.task.kind != tasks::Kind::kCausalLanguageModeling) {
      co_return InvalidArgumentError(
          "base is for language models' data; set task.causal_lm, or leave it out")
          .At("base");
    }
    StatusOr<intake::BasePtr> base = co_await backend_.bases.Find(context, request.base());
    if (!base.ok()) co_return Status(base.status()).At("base");
    GRAFT_CO_RETURN_IF_ERROR(
        spec::CheckHasHead(request.base(), options.task.kind, (*base)->layout));
    options.base = *std::move(base);
    GRAFT_CO_ASSIGN_OR_RETURN(options.max_length,
                              MaxLength(request.max_length(), options.base->layout));
  }
  auto check = [&intake = backend_.intake, tenant = context.tenant, dataset = std::move(*spec),
                options](const StopFlag& stop) mutable {
    options.stop = stop;
    return intake.Check(tenant, dataset, options);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::Checked checked,
                            co_await OnIntake(backend_.runtime, std::move(check)));
  const datasets::Report& report = checked.report;
  graft::v1::CheckDatasetResponse response;
  response.set_train_tokens(checked.train_tokens);
  response.set_loss_tokens(checked.loss_tokens);
  response.set_usable(report.usable());
  for (const auto& split : report.splits) Describe(split, *response.add_splits());
  *response.mutable_errors() = proto::ToErrorInfo(datasets::ToStatus(report)).details();
  response.set_omitted_errors(report.omitted_errors);
  for (const std::string& warning : report.warnings) response.add_warnings(warning);
  response.set_summary(report.Summary());
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::DeleteDatasetResponse>> DatasetService::DeleteDataset(
    calls::CallContext& context, const graft::v1::DeleteDatasetRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string sha256,
                            ParseName(request.name(), "datasets", "name"));
  auto remove = [sha256, tenant = context.tenant, &store = backend_.objects]() -> Status {
    const std::string info = objects::UploadInfoKey(tenant, sha256);
    if (auto stat = store.Stat(info); !stat.ok()) {
      if (stat.status().code() != StatusCode::kNotFound) return stat.status();
      return NotFoundError("no data set " + sha256 + " was uploaded").At("name");
    }
    // In this order an upload of the same bytes that runs meanwhile finds out.
    GRAFT_RETURN_IF_ERROR(store.Delete(objects::UploadDataKey(tenant, sha256)));
    return store.Delete(info);
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, std::move(remove)));
  co_return graft::v1::DeleteDatasetResponse();
}

}  // namespace graft::server::service
