#include "common/tokenizers/components/decoder.h"

#include <utility>

namespace graft::tokenizers {
namespace {

constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

class Pieces : public Decoder {
 public:
  Pieces(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  std::string Decode(const std::vector<std::string_view>& tokens) const override {
    std::string text;
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string token(tokens[i]);
      if (i > 0 && token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else if (i > 0) {
        token.insert(0, " ");
      }
      if (cleanup_) {
        for (const auto& [from, to] : kCleanups) ReplaceAll(token, from, to);
      }
      text += token;
    }
    return text;
  }

 private:
  const std::string prefix_;
  const bool cleanup_;
};

class Spaces : public Decoder {
 public:
  std::string Decode(const std::vector<std::string_view>& tokens) const override {
    std::string text;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) text += ' ';
      text += tokens[i];
    }
    return text;
  }
};

}  // namespace

DecoderPtr WordPieceDecoder(std::string prefix, bool cleanup) {
  return std::make_unique<Pieces>(std::move(prefix), cleanup);
}
DecoderPtr SpacesDecoder() { return std::make_unique<Spaces>(); }

}  // namespace graft::tokenizers
