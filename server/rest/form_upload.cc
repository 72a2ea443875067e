#include "server/rest/form_upload.h"

#include <utility>

#include "common/base/utf8.h"

namespace graft::server::rest {
namespace {

constexpr size_t kMaxFields = 32;
constexpr size_t kMaxFieldBytes = 4096;

}  // namespace

FormUpload::FormUpload(http::BodyReader& body, const std::string& boundary,
                       Status (*check)(const Fields&))
    : PieceReader(body), parser_(boundary), check_(check) {}

calls::Awaitable<StatusOr<FormUpload::Event>> FormUpload::NextEvent() {
  while (true) {
    GRAFT_CO_ASSIGN_OR_RETURN(Event event, parser_.Next());
    if (event.kind != Event::Kind::kMore) co_return event;
    GRAFT_CO_ASSIGN_OR_RETURN(const std::string bytes, co_await body_.Read());
    if (bytes.empty()) co_return InvalidArgumentError("the form ends in the middle");
    parser_.Feed(bytes);
  }
}

StatusOr<bool> FormUpload::Take(Event event) {
  switch (event.kind) {
    case Event::Kind::kPart:
      part_ = event.name;
      is_in_file_ = event.file_name.has_value();
      if (!is_in_file_) {
        if (fields_.size() >= kMaxFields || fields_.contains(part_))
          return InvalidArgumentError("the form has a field twice, or too many")
              .At(Printable(part_));
        fields_[part_];
        return false;
      }
      if (part_ != "file" || has_file_)
        return InvalidArgumentError("a form has one file, in its field \"file\"").At("file");
      if (FirstInvalidUtf8(*event.file_name) != std::string::npos)
        return InvalidArgumentError("the file's name isn't UTF-8").At("file");
      has_file_ = true;
      message_.mutable_header()->set_file_name(*event.file_name);
      return true;
    case Event::Kind::kData:
      if (is_in_file_) {
        hash_.Update(event.data);
        message_.set_chunk(std::move(event.data));
        return true;
      }
      fields_[part_] += event.data;
      if (fields_[part_].size() > kMaxFieldBytes)
        return InvalidArgumentError("a field of the form is too long").At(Printable(part_));
      return false;
    case Event::Kind::kMore:
    case Event::Kind::kPartEnd:
      return false;
    case Event::Kind::kEnd:
      break;
  }
  if (!has_file_) return InvalidArgumentError("the form has no file").At("file");
  GRAFT_RETURN_IF_ERROR(check_(fields_));
  SetHash();
  return true;
}

calls::Awaitable<StatusOr<bool>> FormUpload::Advance() {
  while (true) {
    GRAFT_CO_ASSIGN_OR_RETURN(Event event, co_await NextEvent());
    GRAFT_CO_ASSIGN_OR_RETURN(const bool is_made, Take(std::move(event)));
    if (is_made) co_return true;
  }
}

}  // namespace graft::server::rest
