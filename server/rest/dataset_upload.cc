#include "server/rest/dataset_upload.h"

#include <string>
#include <utility>

#include "server/rest/handler.h"
#include "server/rest/piece_reader.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;

class RawUpload final : public PieceReader<v1::UploadDatasetRequest> {
 public:
  RawUpload(http::BodyReader& body, v1::UploadDatasetRequest::Header header)
      : PieceReader(body), header_(std::move(header)) {}

 private:
  calls::Awaitable<StatusOr<bool>> Advance() override {
    if (!std::exchange(has_begun_, true)) {
      *message_.mutable_header() = header_;
      co_return true;
    }
    GRAFT_CO_ASSIGN_OR_RETURN(std::string bytes, co_await body_.Read());
    if (bytes.empty()) {
      SetHash();
      co_return true;
    }
    hash_.Update(bytes);
    message_.set_chunk(std::move(bytes));
    co_return true;
  }

  const v1::UploadDatasetRequest::Header header_;
  bool has_begun_ = false;
};

calls::Awaitable<Status> Upload(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  v1::UploadDatasetRequest::Header header;
  GRAFT_CO_RETURN_IF_ERROR(ReadMessage(request, {}, header));
  RawUpload upload(*request.stream, header);
  const StatusOr<v1::Dataset> dataset = co_await services.datasets.UploadDataset(context, upload);
  GRAFT_CO_RETURN_IF_ERROR(upload.status());
  if (!dataset.ok()) co_return dataset.status();
  GRAFT_CO_ASSIGN_OR_RETURN(std::string text, JsonText(*dataset));
  out.Send({}, std::move(text));
  co_return OkStatus();
}

}  // namespace

http::Handler UploadHandler(service::Services& services) { return HandlerOf(services, Upload); }

}  // namespace graft::server::rest
