/// Encodes the examples of standard input, for parity.py. The first line is the set-up, an object
/// with folder (a base), shape (text, completion or messages), max_length, and if wanted loss_on
/// ("ALL") and template (a file's path; the base's otherwise). Each other line is an example, a
/// list of its two strings. What goes out: a list of parts, each a list of ids and of the places of
/// the tokens that are learned; or an object with the error.
#include <iostream>
#include <string>

#include "common/base/file.h"
#include "common/language/encoder.h"
#include "common/templates/chat_files.h"

namespace {

using graft::Json;
using graft::StatusOr;
using graft::language::Encoder;

StatusOr<std::unique_ptr<const Encoder>> Make(
    const Json& setup, std::shared_ptr<const graft::tokenizers::Tokenizer>& tokenizer) {
  const auto folder = setup.at("folder").get<std::string>();
  GRAFT_ASSIGN_OR_RETURN(tokenizer,
                         graft::tokenizers::LoadTokenizer(std::filesystem::path(folder)));
  graft::language::EncoderOptions options;
  const std::string shape = setup.at("shape");
  options.shape = shape == "text"         ? graft::datasets::Shape::kText
                  : shape == "completion" ? graft::datasets::Shape::kCompletion
                                          : graft::datasets::Shape::kMessages;
  options.max_length = setup.at("max_length");
  if (setup.value("loss_on", "") == "ALL") options.loss_on = graft::tasks::LossOn::kAll;
  GRAFT_ASSIGN_OR_RETURN(const auto files, graft::templates::ReadChatFiles(folder));
  options.chat.special_tokens = files.special_tokens;
  if (setup.contains("template")) {
    GRAFT_ASSIGN_OR_RETURN(options.chat.chat_template,
                           graft::ReadFile(setup.at("template").get<std::string>()));
  } else {
    GRAFT_ASSIGN_OR_RETURN(options.chat.chat_template,
                           graft::templates::ChooseTemplate(files, false));
  }
  return Encoder::Create(*tokenizer, std::move(options));
}

Json Encode(const Encoder& encoder, const Json& example) {
  const auto encoded = encoder.Encode({example.at(0), example.at(1)});
  if (!encoded.ok()) return {{"error", encoded.status().message()}};
  Json parts = Json::array();
  for (const graft::language::Part& part : encoded->parts) {
    Json learned = Json::array();
    for (const int32_t position : part.positions) learned.push_back(position + 1);
    parts.push_back({part.ids, learned});
  }
  return parts;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::string line;
  std::getline(std::cin, line);
  std::shared_ptr<const graft::tokenizers::Tokenizer> tokenizer;
  const auto encoder = Make(Json::parse(line), tokenizer);
  if (!encoder.ok()) {
    std::cerr << encoder.status() << "\n";
    return 1;
  }
  while (std::getline(std::cin, line)) std::cout << Encode(**encoder, Json::parse(line)) << "\n";
}
