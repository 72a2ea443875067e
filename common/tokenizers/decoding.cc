/// The way back from ids, whole or as they come.
#include "common/base/utf8.h"
#include "common/tokenizers/pipeline.h"

namespace graft::tokenizers {
namespace {

class Stream : public DecodeStream {
 public:
  Stream(const Pipeline& pipeline, const DecodeOptions& options)
      : pipeline_(pipeline), options_(options), stage_(pipeline.stages().decoder->Start()) {}

  std::string Push(int32_t id) override {
    std::string text;
    if (const auto token = pipeline_.Token(id, options_)) {
      stage_->Push(*token, [&](std::string_view piece) { text += piece; });
    }
    return text;
  }
  std::string Finish() override {
    std::string text;
    stage_->Finish([&](std::string_view piece) { text += piece; });
    return text;
  }

 private:
  const Pipeline& pipeline_;
  const DecodeOptions options_;
  const std::unique_ptr<DecodeStage> stage_;
};

}  // namespace

std::optional<std::string_view> Pipeline::Token(int32_t id, const DecodeOptions& options) const {
  const auto at = static_cast<size_t>(id);
  if (id < 0 || id >= vocab_size_ || tokens_[at].empty()) return std::nullopt;
  if (special_[at] && !options.special_tokens) return std::nullopt;
  return tokens_[at];
}

std::string Pipeline::Decode(const std::vector<int32_t>& ids, const DecodeOptions& options) const {
  Stream stream(*this, options);
  std::string text;
  for (const int32_t id : ids) text += stream.Push(id);
  return text += stream.Finish();
}

std::optional<std::string> Pipeline::PartOfCharacters(int32_t id) const {
  const auto token = Token(id, {.special_tokens = true});
  if (!token) return std::nullopt;
  std::optional<std::string> bytes = stages_.decoder->BytesOf(*token);
  if (bytes && FirstInvalidUtf8(*bytes) == std::string_view::npos) bytes.reset();
  return bytes;
}

std::unique_ptr<DecodeStream> Pipeline::StartDecode(const DecodeOptions& options) const {
  return std::make_unique<Stream>(*this, options);
}

std::optional<SpecialToken> Pipeline::Special(const std::string& name) const {
  const auto found = stages_.special_tokens.find(name);
  if (found == stages_.special_tokens.end()) return std::nullopt;
  return found->second;
}

}  // namespace graft::tokenizers
