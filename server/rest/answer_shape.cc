#include "server/rest/answer_shape.h"

#include <algorithm>

namespace graft::server::rest {
namespace {

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

class Chat final : public AnswerShape {
 public:
  std::string IdPrefix() const override { return "chatcmpl-"; }
  std::string Object(bool is_stream) const override {
    return is_stream ? "chat.completion.chunk" : "chat.completion";
  }
  Json WholeChoice(const ChoicePart& choice) const override {
    return {{"index", choice.index},
            {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
            {"logprobs", choice.logprobs},
            {"finish_reason", OrNull(choice.finish_reason)}};
  }
  Json StreamedChoice(const ChoicePart& part) const override {
    Json delta = Json::object();
    if (part.is_first) delta["role"] = "assistant";
    if (part.is_first || !part.text.empty()) delta["content"] = part.text;
    return {{"index", part.index},
            {"delta", std::move(delta)},
            {"logprobs", part.logprobs},
            {"finish_reason", OrNull(part.finish_reason)}};
  }
  Json Logprobs(const Tokens& tokens, const TokenTexts& texts, size_t) const override {
    Json content = Json::array();
    for (const auto& token : tokens) content.push_back(texts.ChatEntry(token));
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }
  void Append(const Json& later, Json& logprobs) const override {
    for (const Json& entry : later["content"]) logprobs["content"].push_back(entry);
  }
};

class Text final : public AnswerShape {
 public:
  std::string IdPrefix() const override { return "cmpl-"; }
  std::string Object(bool) const override { return "text_completion"; }
  Json WholeChoice(const ChoicePart& choice) const override {
    return {{"index", choice.index},
            {"text", choice.text},
            {"logprobs", choice.logprobs},
            {"finish_reason", OrNull(choice.finish_reason)}};
  }
  Json StreamedChoice(const ChoicePart& part) const override { return WholeChoice(part); }
  Json Logprobs(const Tokens& tokens, const TokenTexts& texts, size_t offset) const override {
    Json made = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
    for (const auto& token : tokens) {
      const std::string text = texts.InText(token.id());
      made["tokens"].push_back(text);
      made["token_logprobs"].push_back(token.has_log_probability() ? Json(token.log_probability())
                                                                   : Json(nullptr));
      Json best = token.has_log_probability() ? Json::object() : Json(nullptr);
      // The likeliest come first: of tokens with one text it is that one's. The token itself is
      // always there, as OpenAI has it.
      for (const auto& one : token.best())
        best.emplace(texts.InText(one.token()), one.log_probability());
      if (token.has_log_probability()) best.emplace(text, token.log_probability());
      made["top_logprobs"].push_back(std::move(best));
      made["text_offset"].push_back(offset);
      offset += NumCharacters(texts.BytesOf(token.id()));
    }
    return made;
  }
  void Append(const Json& later, Json& logprobs) const override {
    for (const auto& [name, values] : later.items()) {
      for (const Json& value : values) logprobs[name].push_back(value);
    }
  }
};

}  // namespace

size_t NumCharacters(std::string_view text) {
  // Bytes that only go on with a character don't count.
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

const AnswerShape& ChatShape() {
  static const Chat shape;
  return shape;
}

const AnswerShape& TextShape() {
  static const Text shape;
  return shape;
}

}  // namespace graft::server::rest
