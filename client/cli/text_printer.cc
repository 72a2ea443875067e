#include "client/cli/text_printer.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using graft::v1::GenerateResponse;

constexpr std::string_view kChat = "chat.";

/// "generation.top_p" -> "--top-p"
std::string FlagOf(const std::string& field) {
  constexpr std::string_view kPrefix = "generation.";
  std::string name = field.starts_with(kPrefix) ? field.substr(kPrefix.size()) : field;
  std::ranges::replace(name, '_', '-');
  return "--" + Printable(name);
}

/// "a", "a and b", "a, b and c"
std::string Listed(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " and " : ", ";
    list += names[i];
  }
  return list;
}

/// What a terminal would obey is escaped: controls but line breaks and tabs.
std::string OnTerminal(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const Utf8Code next = FirstCode(text);
    const std::string_view piece = text.substr(0, std::max<size_t>(next.length, 1));
    const bool is_control = next.code < 0x20 || (next.code >= 0x7f && next.code < 0xa0);
    const bool is_obeyed = is_control && next.code != '\n' && next.code != '\t';
    shown += is_obeyed || next.length == 0 ? Printable(piece) : std::string(piece);
    text.remove_prefix(piece.size());
  }
  return shown;
}

}  // namespace

StatusOr<std::string> TextPrinter::Show(const graft::v1::GenerateRequest& request) {
  const graft::v1::GenerationSettings& settings = request.generation();
  Answer answer{
      .is_several = settings.n() > 1, .max_tokens = settings.max_tokens(), .texts = {}, .cut = {}};
  const Status status = context_.client->Generate(
      request, [&](const GenerateResponse& part) { return Take(part, answer); });
  Finish(answer);
  if (!status.ok()) return status;
  return answer.texts[0];
}

bool TextPrinter::Take(const GenerateResponse& part, Answer& answer) {
  answer.texts[part.index()] += part.text();
  if (part.finish_reason() == "length") answer.cut[part.index()] = part.generated_tokens();
  if (context_.json) {
    PrintJson(context_, part);
    return context_.out.good();
  }
  Warn(part);
  if (!answer.is_several) context_.out << Shown(part.text()) << std::flush;
  return context_.out.good();
}

std::string TextPrinter::Shown(const std::string& text) const {
  return context_.terminal ? OnTerminal(text) : text;
}

void TextPrinter::Warn(const GenerateResponse& part) {
  if (has_warned_ || part.settings_without_effect().empty()) return;
  has_warned_ = true;
  std::vector<std::string> flags, unread;
  for (const std::string& field : part.settings_without_effect()) {
    if (field.starts_with(kChat)) {
      unread.push_back(Printable(field.substr(kChat.size())));
    } else {
      flags.push_back(FlagOf(field));
    }
  }
  if (!unread.empty()) {
    context_.err << "warning: the chat template doesn't read " << Listed(unread)
                 << (unread.size() == 1 ? ", which changes" : ", which change") << " nothing"
                 << std::endl;
  }
  if (flags.empty()) return;
  context_.err << "warning: the base's own temperature is 0, at which the likeliest token is "
                  "always chosen, so "
               << Listed(flags) << (flags.size() == 1 ? " changes" : " change")
               << " nothing; say --temperature 1 to have texts drawn" << std::endl;
}

void TextPrinter::Finish(const Answer& answer) {
  if (context_.json) return;
  if (answer.is_several) {
    for (const auto& [index, text] : answer.texts)
      context_.out << "[" << index << "] " << Shown(text) << "\n";
  } else if (!answer.texts.empty()) {
    context_.out << "\n";
  }
  TellCuts(answer);
}

void TextPrinter::TellCuts(const Answer& answer) {
  if (!context_.err_terminal) return;
  context_.out << std::flush;  // The text comes first.
  for (const auto& [index, tokens] : answer.cut) {
    if (answer.is_several) context_.err << "[" << index << "] ";
    context_.err << "(cut at " << tokens << (tokens == 1 ? " token: " : " tokens: ")
                 << (tokens == answer.max_tokens ? "raise --max-tokens"
                                                 : "no more fit behind the prompt")
                 << ")" << std::endl;
  }
}

}  // namespace graft::cli
