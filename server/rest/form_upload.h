#pragma once
/// A form with one file, as the stream of messages that DatasetService.UploadDataset reads. Fields
/// of the form may stand in front of the file or behind it: the upload is only complete, and so
/// stored, once all of them were read and are fine.

#include <map>
#include <string>

#include "graft/v1/dataset.pb.h"
#include "server/http/multipart.h"
#include "server/http/request.h"
#include "server/rest/piece_reader.h"

namespace graft::server::rest {

class FormUpload final : public PieceReader<graft::v1::UploadDatasetRequest> {
 public:
  using Fields = std::map<std::string, std::string>;
  /// `check` is given all fields behind the last part.
  FormUpload(http::BodyReader& body, const std::string& boundary, Status (*check)(const Fields&));

  const Fields& fields() const { return fields_; }

 private:
  using Event = http::MultipartParser::Event;
  /// The form's next event that isn't kMore.
  calls::Awaitable<StatusOr<Event>> NextEvent();
  calls::Awaitable<StatusOr<bool>> Advance() override;
  /// Takes an event; true if it made a message.
  StatusOr<bool> Take(Event event);

  http::MultipartParser parser_;
  Status (*const check_)(const Fields&);
  Fields fields_;
  std::string part_;  ///< The field that is being read.
  bool is_in_file_ = false;
  bool has_file_ = false;
};

}  // namespace graft::server::rest
