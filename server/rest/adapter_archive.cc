#include "server/rest/adapter_archive.h"

#include <set>
#include <string>
#include <utility>

#include "common/base/utf8.h"
#include "server/rest/handler.h"
#include "server/rest/piece_reader.h"
#include "server/rest/tar.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;

/// Writes an export's files as they come.
class Archive final : public calls::StreamWriter<v1::ExportAdapterResponse> {
 public:
  explicit Archive(http::Responder& out) : out_(out) {}

  calls::Awaitable<bool> Write(v1::ExportAdapterResponse part) override {
    if (part.has_version()) {
      std::string name = part.version().name();
      for (char& c : name) c = c == '/' ? '-' : c;
      out_.Begin({200,
                  "application/x-tar",
                  {{"Content-Disposition", "attachment; filename=" + name + ".tar"}}});
      co_return true;
    }
    std::string bytes;
    v1::ImportAdapterRequest::File& file = *part.mutable_file();
    if (file.name() != name_) {
      bytes = TarPadding(size_) + TarHeader(file.name(), file.bytes());
      name_ = file.name();
      size_ = file.bytes();
    }
    bytes += file.chunk();
    co_return co_await out_.Write(std::move(bytes));
  }
  calls::Awaitable<bool> Finish() { return out_.Write(TarPadding(size_) + TarEnd()); }

 private:
  http::Responder& out_;
  std::string name_;  ///< Of the file that is being written,
  int64_t size_ = 0;  ///< and its size.
};

calls::Awaitable<Status> Export(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  v1::ExportAdapterRequest ask;
  GRAFT_CO_RETURN_IF_ERROR(ReadMessage(request, {{"adapter", "{adapter}"}}, ask));
  Archive archive(out);
  GRAFT_CO_RETURN_IF_ERROR(co_await services.adapters.ExportAdapter(context, ask, archive));
  const bool is_sent = co_await archive.Finish();
  co_return is_sent ? OkStatus() : CancelledError("the client went away");
}

class TarImport final : public PieceReader<v1::ImportAdapterRequest> {
 public:
  TarImport(http::BodyReader& body, v1::ImportAdapterRequest::Header header)
      : PieceReader(body), header_(std::move(header)) {}

 private:
  calls::Awaitable<StatusOr<bool>> Advance() override {
    if (!std::exchange(has_begun_, true)) {
      *message_.mutable_header() = header_;
      co_return true;
    }
    while (true) {
      GRAFT_CO_ASSIGN_OR_RETURN(TarReader::Event event, tar_.Next());
      switch (event.kind) {
        case TarReader::Event::Kind::kMore: {
          GRAFT_CO_ASSIGN_OR_RETURN(const std::string bytes, co_await body_.Read());
          if (bytes.empty()) co_return InvalidArgumentError("the archive ends in the middle");
          tar_.Feed(bytes);
          break;
        }
        case TarReader::Event::Kind::kFile:
          file_ = std::move(event.name);
          // Folders don't count: two of one name would be read as one.
          if (!names_.insert(file_).second)
            co_return InvalidArgumentError("the archive has two files called " + Quoted(file_));
          message_.mutable_file()->set_name(file_);
          if (event.size == 0) co_return true;
          break;
        case TarReader::Event::Kind::kData:
          hash_.Update(event.data);
          message_.mutable_file()->set_name(file_);
          message_.mutable_file()->set_chunk(std::move(event.data));
          co_return true;
        case TarReader::Event::Kind::kEnd:
          SetHash();
          co_return true;
      }
    }
  }

  const v1::ImportAdapterRequest::Header header_;
  TarReader tar_;
  std::string file_;
  std::set<std::string> names_;
  bool has_begun_ = false;
};

calls::Awaitable<Status> Import(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  v1::ImportAdapterRequest::Header header;
  http::Request fields = request;
  const auto labels = fields.query.extract("label_names");
  if (!labels.empty()) {
    GRAFT_CO_ASSIGN_OR_RETURN(Json names, ParseJson(labels.mapped(), "label_names"));
    fields.body = Dump({{"label_names", std::move(names)}});
  }
  GRAFT_CO_RETURN_IF_ERROR(ReadMessage(fields, {{"adapter", "{adapter}"}}, header));
  TarImport tar(*request.stream, header);
  const StatusOr<v1::AdapterVersion> version =
      co_await services.adapters.ImportAdapter(context, tar);
  GRAFT_CO_RETURN_IF_ERROR(tar.status());
  if (!version.ok()) co_return version.status();
  GRAFT_CO_ASSIGN_OR_RETURN(std::string text, JsonText(*version));
  out.Send({}, std::move(text));
  co_return OkStatus();
}

}  // namespace

http::Handler ExportHandler(service::Services& services) { return HandlerOf(services, Export); }
http::Handler ImportHandler(service::Services& services) { return HandlerOf(services, Import); }

}  // namespace graft::server::rest
