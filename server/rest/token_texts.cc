#include "server/rest/token_texts.h"

namespace graft::server::rest {
namespace {

Json BytesOf(const std::string& text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json Entry(const std::string& text, double log_probability) {
  return {{"token", text}, {"logprob", log_probability}, {"bytes", BytesOf(text)}};
}

}  // namespace

std::string TokenTexts::Of(int32_t id) const {
  // A decoder may take a first token's space away: behind itself it keeps it.
  const tokenizers::DecodeOptions with_special{.special_tokens = true};
  const std::string once = tokenizer_->Decode({id}, with_special);
  const std::string twice = tokenizer_->Decode({id, id}, with_special);
  return twice.starts_with(once) && twice.size() > once.size() ? twice.substr(once.size()) : once;
}

Json TokenTexts::ChatEntry(const graft::v1::GenerateResponse::Token& token) const {
  Json entry = Entry(Of(token.id()), token.log_probability());
  entry["top_logprobs"] = Json::array();
  for (const auto& best : token.best())
    entry["top_logprobs"].push_back(Entry(Of(best.token()), best.log_probability()));
  return entry;
}

}  // namespace graft::server::rest
