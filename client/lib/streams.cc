#include <filesystem>
#include <fstream>

#include "client/lib/client.h"
#include "common/base/ids.h"
#include "common/base/sha256.h"

namespace graft::client {
namespace {

constexpr size_t kChunk = 256 << 10;

}  // namespace

StatusOr<graft::v1::Dataset> Client::Upload(const std::string& path,
                                            const std::function<void(int64_t)>& progress) {
  const auto fault = [](const std::string& what) {
    return NotFoundError(what).AddDetail({std::string(kLocalFault), {}, 0, {}, {}});
  };
  // Before it is opened, where a pipe would wait for a writer.
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    return fault(path +
                 " is no file but a pipe, a device or a folder; an upload may have to be repeated, "
                 "so save the data in a file first");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return fault("there is no readable file " + path);
  graft::v1::Dataset dataset;
  bool torn = false;
  const Status status = Retry(options_.stream_timeout, [&](grpc::ClientContext& context) {
    file.clear();
    file.seekg(0);
    const auto writer = datasets_->UploadDataset(&context, &dataset);
    graft::v1::UploadDatasetRequest request;
    request.mutable_header()->set_file_name(path.substr(path.rfind('/') + 1));
    bool open = writer->Write(request);
    std::string chunk(kChunk, '\0');
    int64_t sent = 0;
    Sha256 hash;
    while (open && file) {
      file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
      const auto count = static_cast<size_t>(file.gcount());
      if (count == 0) break;
      request.set_chunk(chunk.substr(0, count));
      hash.Update(request.chunk());
      open = writer->Write(request);
      sent += static_cast<int64_t>(count);
      if (progress) progress(sent);
    }
    torn = file.bad();
    if (torn) {
      context.TryCancel();
    } else {
      request.set_sha256(hash.HexDigest());
      writer->Write(request);
    }
    writer->WritesDone();
    return writer->Finish();
  });
  if (torn) {
    return DataLossError("reading " + path + " failed")
        .AddDetail({std::string(kLocalFault), {}, 0, {}, {}});
  }
  if (!status.ok()) return status;
  return dataset;
}

StatusOr<graft::v1::AdapterVersion> Client::Import(graft::v1::ImportAdapterRequest::Header header,
                                                   const Files& files) {
  if (header.request_id().empty()) header.set_request_id(NewId(SystemClock().Now()));
  graft::v1::AdapterVersion version;
  const Status status = Retry(options_.stream_timeout, [&](grpc::ClientContext& context) {
    const auto writer = adapters_->ImportAdapter(&context, &version);
    graft::v1::ImportAdapterRequest request;
    *request.mutable_header() = header;
    bool open = writer->Write(request);
    Sha256 hash;
    for (const auto& [name, bytes] : files) {
      hash.Update(bytes);
      // An empty file is one empty chunk.
      for (size_t at = 0; open && (at < bytes.size() || at == 0); at += kChunk) {
        request.mutable_file()->set_name(name);
        request.mutable_file()->set_chunk(bytes.substr(at, kChunk));
        open = writer->Write(request);
      }
    }
    request.set_sha256(hash.HexDigest());
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  });
  if (!status.ok()) return status;
  return version;
}

StatusOr<graft::v1::AdapterVersion> Client::Export(const std::string& adapter, bool merged,
                                                   const FileParts& parts) {
  graft::v1::ExportAdapterRequest request;
  request.set_adapter(adapter);
  request.set_merged(merged);
  graft::v1::AdapterVersion version;
  Status taken;
  const Status status = Retry(options_.stream_timeout, [&](grpc::ClientContext& context) {
    parts.begin();
    const auto reader = adapters_->ExportAdapter(&context, request);
    graft::v1::ExportAdapterResponse response;
    while (reader->Read(&response)) {
      if (response.has_version()) version = response.version();
      if (response.has_file()) taken = parts.add(response.file().name(), response.file().chunk());
      if (taken.ok()) continue;
      context.TryCancel();
      (void)reader->Finish();
      return grpc::Status();
    }
    return reader->Finish();
  });
  GRAFT_RETURN_IF_ERROR(taken);
  if (!status.ok()) return status;
  return version;
}

Status Client::Generate(const graft::v1::GenerateRequest& request,
                        const std::function<bool(const graft::v1::GenerateResponse&)>& on_part) {
  grpc::Status end;
  bool begun = false;
  const Status status = Retry(options_.stream_timeout, [&](grpc::ClientContext& context) {
    const auto reader = inference_->Generate(&context, request);
    graft::v1::GenerateResponse part;
    while (reader->Read(&part)) {
      begun = true;
      if (on_part(part)) continue;
      context.TryCancel();
      (void)reader->Finish();
      return end = grpc::Status();
    }
    end = reader->Finish();
    // Not again once a part is out: it would come twice.
    return begun ? grpc::Status() : end;
  });
  return begun ? Convert(end) : status;
}

}  // namespace graft::client
