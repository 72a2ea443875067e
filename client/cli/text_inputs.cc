#include "client/cli/text_inputs.h"

#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/bytes.h"
#include "common/datasets/lines.h"

namespace graft::cli {
namespace {

constexpr std::string_view kInputs = "inputs[";
constexpr size_t kMaxBytes = 4'000'000;  ///< Of an input: the server takes requests up to 4 MiB.

class StreamSource : public datasets::ByteSource {
 public:
  explicit StreamSource(std::istream& in) : in_(in) {}
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    in_.read(buffer, static_cast<std::streamsize>(size));
    if (in_.bad()) return InternalError("standard input can't be read");
    return static_cast<size_t>(in_.gcount());
  }

 private:
  std::istream& in_;
};

struct Text {
  std::string text;
  std::string place;
};

Status AddLines(std::istream& in, std::vector<Text>& texts) {
  auto lines = datasets::ReadLines(std::make_unique<StreamSource>(in));
  if (!lines.ok()) return UsageError("standard input, " + lines.status().message());
  for (datasets::Line& line : *lines) {
    texts.push_back(
        {std::move(line.text), "line " + std::to_string(line.number) + " of standard input"});
  }
  return OkStatus();
}

/// The number in "inputs[3].text", and what is behind its bracket.
std::optional<std::pair<size_t, std::string>> ParseField(const std::string& field) {
  if (!field.starts_with(kInputs)) return std::nullopt;
  size_t index = 0;
  const char* end = field.data() + field.size();
  const auto [stop, error] = std::from_chars(field.data() + kInputs.size(), end, index);
  if (error != std::errc() || stop == end || *stop != ']') return std::nullopt;
  return std::pair(index, std::string(stop + 1, end));
}

}  // namespace

StatusOr<TextInputs> TextInputs::Read(const std::vector<std::string>& arguments, bool pair,
                                      std::istream& in) {
  std::vector<Text> texts;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "-") {
      GRAFT_RETURN_IF_ERROR(AddLines(in, texts));
      continue;
    }
    const std::string place = "text " + std::to_string(i + 1);
    if (FirstInvalidUtf8(arguments[i]) != std::string_view::npos)
      return UsageError(place + " isn't UTF-8: " + Quoted(arguments[i]));
    texts.push_back({arguments[i], place});
  }
  if (pair && texts.size() % 2 != 0) return UsageError("--pair needs an even number of texts");
  TextInputs result;
  for (size_t i = 0; i < texts.size(); i += pair ? 2 : 1) {
    graft::v1::TextInput input;
    input.set_text(std::move(texts[i].text));
    if (pair) {
      input.set_text_pair(std::move(texts[i + 1].text));
      texts[i].place += " and " + texts[i + 1].place;
    }
    if (const size_t bytes = input.text().size() + input.text_pair().size(); bytes > kMaxBytes) {
      return UsageError(texts[i].place + ": " + std::to_string(bytes) +
                        " bytes, which is more than a request holds (4 MB); cut the text");
    }
    result.inputs_.push_back(std::move(input));
    result.places_.push_back(std::move(texts[i].place));
  }
  if (result.inputs_.empty()) return UsageError("no text given");
  return result;
}

Status TextInputs::Locate(const Status& status, size_t begin) const {
  std::string message = status.message();
  std::vector<ErrorDetail> details = status.details();
  bool is_first = true;
  for (ErrorDetail& detail : details) {
    const auto field = ParseField(detail.field);
    if (!field || begin + field->first >= places_.size()) continue;
    const size_t index = begin + field->first;
    detail.field = std::string(kInputs) + std::to_string(index) + "]" + field->second;
    if (std::exchange(is_first, false)) {
      const std::string located = places_[index] + ": " + message;
      if (detail.message == message) detail.message = located;
      message = located;
    }
  }
  Status result(status.code(), std::move(message));
  for (ErrorDetail& detail : details) result.AddDetail(std::move(detail));
  return result;
}

}  // namespace graft::cli
