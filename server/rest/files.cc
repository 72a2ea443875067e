#include "server/rest/files.h"

#include "common/base/rename_fields.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "server/rest/form_upload.h"
#include "server/rest/handler.h"
#include "server/rest/openai_page.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;
constexpr std::string_view kPrefix = "file-";
constexpr int kMostFiles = 1000;
constexpr size_t kMostListed = 10'000;

Json ToFile(const v1::Dataset& dataset) {
  return {{"id", FileId(IdOf(dataset.name()))},
          {"object", "file"},
          {"bytes", dataset.bytes()},
          {"created_at", dataset.create_time().seconds()},
          {"filename", dataset.file_name()},
          {"purpose", "fine-tune"},
          {"status", "processed"},
          {"status_details", nullptr},
          {"uri", dataset.uri()}};
}

Status CheckFields(const FormUpload::Fields& fields) {
  for (const auto& [name, value] : fields) {
    if (name != "purpose")
      return InvalidArgumentError(Quoted(name, 100) + " isn't built; leave it out")
          .At(Printable(name));
  }
  const auto purpose = fields.find("purpose");
  if (purpose != fields.end() && purpose->second == "fine-tune") return OkStatus();
  return InvalidArgumentError("purpose must be fine-tune: graft keeps files to train on")
      .At("purpose");
}

/// The upload's header and bytes are the form's file.
std::string ByFormNames(const std::string& field) {
  return field.starts_with("header") || field == "chunk" ? "file" : field;
}

calls::Awaitable<Status> Upload(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string boundary, http::BoundaryOf(request.content_type));
  FormUpload form(*request.stream, boundary, CheckFields);
  const StatusOr<v1::Dataset> dataset = co_await services.datasets.UploadDataset(context, form);
  GRAFT_CO_RETURN_IF_ERROR(form.status());
  if (!dataset.ok()) co_return RenameFields(dataset.status(), ByFormNames);
  out.Send({}, Dump(ToFile(*dataset)));
  co_return OkStatus();
}

struct ListQuery {
  PageQuery page{.limit = kMostFiles, .after = {}};
  bool wants_none = false;  ///< Of another purpose than there is.
};

StatusOr<ListQuery> ReadListQuery(const http::Request& request) {
  ListQuery query;
  for (const auto& [name, value] : request.query) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_pages,
                           ReadPageParameter(name, value, kMostListed, query.page));
    if (is_pages) continue;
    if (name == "purpose") {
      query.wants_none = value != "fine-tune";
    } else if (name != "order") {
      return NoSuchParameter(name);
    } else if (value != "desc") {
      return InvalidArgumentError("order can only be desc: the newest first").At("order");
    }
  }
  return query;
}

calls::Awaitable<Status> List(service::Services& services, calls::CallContext& context,
                              const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const ListQuery query, ReadListQuery(request));
  Json files = Json::array();
  bool has_more = false;
  v1::ListDatasetsRequest list;
  list.set_page_size(kMostFiles);
  bool is_behind = query.page.after.empty();
  while (!query.wants_none && !has_more) {
    GRAFT_CO_ASSIGN_OR_RETURN(const v1::ListDatasetsResponse page,
                              co_await services.datasets.ListDatasets(context, list));
    for (const v1::Dataset& dataset : page.datasets()) {
      Json file = ToFile(dataset);
      if (!is_behind) {
        is_behind = file["id"] == query.page.after;
        continue;
      }
      has_more = files.size() == query.page.limit;
      if (has_more) break;
      files.push_back(std::move(file));
    }
    if (page.next_page_token().empty()) break;
    list.set_page_token(page.next_page_token());
  }
  out.Send({}, Dump(Page(std::move(files), has_more)));
  co_return OkStatus();
}

calls::Awaitable<Status> Get(service::Services& services, calls::CallContext& context,
                             const http::Request& request, http::Responder& out) {
  v1::GetDatasetRequest get;
  GRAFT_CO_ASSIGN_OR_RETURN(*get.mutable_name(),
                            DatasetName(request.arguments.at("file"), "file_id"));
  GRAFT_CO_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                            co_await services.datasets.GetDataset(context, get));
  out.Send({}, Dump(ToFile(dataset)));
  co_return OkStatus();
}

/// A file's bytes, as the answer's.
class FileWriter final : public calls::StreamWriter<v1::ReadDatasetResponse> {
 public:
  explicit FileWriter(http::Responder& out) : out_(out) {}
  calls::Awaitable<bool> Write(v1::ReadDatasetResponse part) override {
    if (part.has_dataset()) {
      out_.Begin({200, "application/octet-stream", {}});
      co_return true;
    }
    co_return co_await out_.Write(std::move(*part.mutable_chunk()));
  }

 private:
  http::Responder& out_;
};

calls::Awaitable<Status> Read(service::Services& services, calls::CallContext& context,
                              const http::Request& request, http::Responder& out) {
  v1::ReadDatasetRequest read;
  GRAFT_CO_ASSIGN_OR_RETURN(*read.mutable_name(),
                            DatasetName(request.arguments.at("file"), "file_id"));
  FileWriter writer(out);
  co_return co_await services.datasets.ReadDataset(context, read, writer);
}

calls::Awaitable<Status> Delete(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  v1::DeleteDatasetRequest remove;
  GRAFT_CO_ASSIGN_OR_RETURN(*remove.mutable_name(),
                            DatasetName(request.arguments.at("file"), "file_id"));
  const auto removed = co_await services.datasets.DeleteDataset(context, remove);
  if (!removed.ok()) co_return removed.status();
  out.Send({}, Dump({{"id", request.arguments.at("file")}, {"object", "file"}, {"deleted", true}}));
  co_return OkStatus();
}

}  // namespace

StatusOr<std::string> DatasetName(const std::string& file_id, const std::string& field) {
  const bool is_file = file_id.starts_with(kPrefix) && IsSha256Hex(file_id.substr(kPrefix.size()));
  if (is_file) return "datasets/" + file_id.substr(kPrefix.size());
  return NotFoundError("there is no file " + Quoted(file_id, 200)).At(field, "FILE_NOT_FOUND");
}

std::string FileId(const std::string& sha256) { return std::string(kPrefix) + sha256; }

http::Handler UploadFileHandler(service::Services& services) { return HandlerOf(services, Upload); }
http::Handler ListFilesHandler(service::Services& services) { return HandlerOf(services, List); }
http::Handler GetFileHandler(service::Services& services) { return HandlerOf(services, Get); }
http::Handler ReadFileHandler(service::Services& services) { return HandlerOf(services, Read); }
http::Handler DeleteFileHandler(service::Services& services) { return HandlerOf(services, Delete); }

}  // namespace graft::server::rest
