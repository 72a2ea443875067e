#include "server/rest/token_texts.h"

#include <optional>

#include <fmt/format.h>

namespace graft::server::rest {
namespace {

/// "\xf0\x9f"
std::string Escaped(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text;
}

}  // namespace

std::string TokenTexts::BytesOf(int32_t id) const {
  if (std::optional<std::string> part = tokenizer_->PartOfCharacters(id)) return *std::move(part);
  // A decoder may take a first token's space away: behind itself it keeps it.
  const tokenizers::DecodeOptions with_special{.special_tokens = true};
  const std::string once = tokenizer_->Decode({id}, with_special);
  const std::string twice = tokenizer_->Decode({id, id}, with_special);
  return twice.starts_with(once) && twice.size() > once.size() ? twice.substr(once.size()) : once;
}

std::string TokenTexts::Of(int32_t id) const {
  const std::optional<std::string> part = tokenizer_->PartOfCharacters(id);
  return part ? Escaped(*part) : BytesOf(id);
}

std::string TokenTexts::InText(int32_t id) const {
  const std::optional<std::string> part = tokenizer_->PartOfCharacters(id);
  return part ? "bytes:" + Escaped(*part) : BytesOf(id);
}

Json TokenTexts::Entry(int32_t id, double log_probability) const {
  Json bytes = Json::array();
  for (const char c : BytesOf(id)) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", Of(id)}, {"logprob", log_probability}, {"bytes", std::move(bytes)}};
}

Json TokenTexts::ChatEntry(const graft::v1::GenerateResponse::Token& token) const {
  Json entry = Entry(token.id(), token.log_probability());
  entry["top_logprobs"] = Json::array();
  for (const auto& best : token.best())
    entry["top_logprobs"].push_back(Entry(best.token(), best.log_probability()));
  return entry;
}

}  // namespace graft::server::rest
