#include "common/datasets/language.h"

#include <algorithm>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/chat.h"
#include "common/datasets/dialect.h"

namespace graft::datasets {

LanguageReader::LanguageReader(const LanguageColumns& columns)
    : names_(kPlaces), index_(kPlaces, kPlaces) {
  const auto set = [&](Place place, const std::string& asked, const char* otherwise) {
    names_[place] = asked.empty() ? otherwise : asked;
  };
  set(kTextAt, columns.text, "text");
  set(kPromptAt, columns.prompt, "prompt");
  set(kCompletionAt, columns.completion, "completion");
  set(kMessagesAt, columns.messages, "messages");
  set(kToolsAt, columns.tools, "tools");
  if (!columns.text.empty()) shape_ = Shape::kText;
  if (!columns.prompt.empty() || !columns.completion.empty()) shape_ = Shape::kCompletion;
  if (!columns.messages.empty() || !columns.tools.empty()) shape_ = Shape::kMessages;
}

void LanguageReader::AskFor(RecordOptions& options) {
  const bool is_known = shape_ != Shape::kLabelled;
  options.columns.clear();
  options.any_of.clear();
  index_.assign(kPlaces, kPlaces);
  const auto ask = [&](Place place, bool is_required) {
    index_[place] = options.columns.size();
    options.columns.push_back({name(place), is_required, place >= kMessagesAt});
  };
  if (!is_known || shape_ == Shape::kText) ask(kTextAt, is_known);
  if (!is_known || shape_ == Shape::kCompletion) {
    ask(kPromptAt, is_known);
    ask(kCompletionAt, is_known);
  }
  if (!is_known || shape_ == Shape::kMessages) {
    ask(kMessagesAt, is_known);
    ask(kToolsAt, false);
  }
  if (!is_known) {
    options.any_of = {{name(kMessagesAt)}, {name(kPromptAt), name(kCompletionAt)}, {name(kTextAt)}};
  }
}

void LanguageReader::Explain(ErrorDetail& fault) const {
  if (fault.reason == "COLUMN_MISSING" && shape_ == Shape::kLabelled) {
    fault.message +=
        "; name the column of conversations (messages_column), of prompts and of completions "
        "(prompt_column, completion_column), or of plain texts (text_columns)";
  }
  if (fault.reason == "WRONG_TYPE" && fault.message.starts_with("the value is an array") &&
      (shape_ == Shape::kCompletion || shape_ == Shape::kLabelled)) {
    fault.message =
        "the value is a list, and must be a text; a conversation stands whole in one "
        "column, messages, its answers being what is learned";
  }
}

std::optional<ErrorDetail> LanguageReader::FindShape(const Record& record) {
  const auto has = [&](Place place) { return at(record, place).is_present; };
  std::vector<std::pair<Shape, std::string>> found;
  if (has(kMessagesAt)) found.emplace_back(Shape::kMessages, "messages_column");
  if (has(kPromptAt) && has(kCompletionAt)) found.emplace_back(Shape::kCompletion, "prompt_column");
  if (has(kTextAt)) found.emplace_back(Shape::kText, "text_columns");
  if (found.size() == 1) {
    shape_ = found.front().first;
    return std::nullopt;
  }
  if (found.empty()) {
    return ErrorDetail{"TEXT_EMPTY",
                       {},
                       record.line,
                       {},
                       "there is neither a conversation, nor a prompt with its completion, nor a "
                       "text; fill it in or drop the line"};
  }
  std::string fields;
  for (const auto& [shape, field] : found)
    fields += (fields.empty() ? "dataset." : " or dataset.") + field;
  return ErrorDetail{"SHAPE_AMBIGUOUS",
                     {},
                     record.line,
                     {},
                     std::string("the data may be read as ") +
                         (has(kMessagesAt) ? "conversations" : "prompts with completions") +
                         (found.size() > 2 ? ", prompts with completions" : "") + " or " +
                         (has(kTextAt) ? "texts" : "prompts with completions") +
                         ", for it has the columns of each; say which by setting " + fields};
}

bool LanguageReader::IsHeader(const Record& record) const {
  bool is_header = false;
  for (size_t place = 0; place < kPlaces; ++place) {
    if (index_[place] == kPlaces) continue;
    const Value& value = at(record, static_cast<Place>(place));
    if (!value.is_present) continue;
    if (Stripped(value.text) != Stripped(name(static_cast<Place>(place)))) return false;
    is_header = true;
  }
  return is_header;
}

std::optional<ErrorDetail> LanguageReader::Take(Record& record, Place place, bool may_be_empty,
                                                std::string& text) const {
  Value& value = record.values[index_[place]];
  if (value.is_present && (may_be_empty || !IsBlank(value.text))) {
    text = std::move(value.text);
    return std::nullopt;
  }
  const char* const what = place == kTextAt         ? "text"
                           : place == kPromptAt     ? "prompt"
                           : place == kCompletionAt ? "completion"
                                                    : "conversation";
  return ErrorDetail{"TEXT_EMPTY",
                     {},
                     record.line,
                     Printable(name(place)),
                     std::string("the ") + what + " is " +
                         (value.is_present ? "empty" : "missing") +
                         "; fill it in or drop the line"};
}

std::optional<ErrorDetail> LanguageReader::ReadConversation(Record& record,
                                                            Example& example) const {
  const auto fault_at = [&](Place place, ChatFault fault) {
    return ErrorDetail{
        std::move(fault.reason), {}, record.line, Printable(name(place)), std::move(fault.message)};
  };
  std::string json;
  if (auto fault = Take(record, kMessagesAt, false, json)) return fault;
  if (auto fault = CheckMessages(json, example.text)) return fault_at(kMessagesAt, *fault);
  const Value& tools = at(record, kToolsAt);
  if (!tools.is_present || IsBlank(tools.text)) return std::nullopt;
  if (auto fault = CheckTools(tools.text, example.text_pair)) return fault_at(kToolsAt, *fault);
  return std::nullopt;
}

std::optional<ErrorDetail> LanguageReader::Read(Record& record, bool has_header, Example& example) {
  if (has_header && IsHeader(record)) {
    return ErrorDetail{"HEADER_AGAIN",
                       {},
                       record.line,
                       {},
                       "the line is the header once more, as where files were put one behind the "
                       "other; drop it"};
  }
  if (shape_ == Shape::kLabelled) {
    if (auto fault = FindShape(record)) return fault;
  }
  example.line = record.line;
  switch (shape_) {
    case Shape::kText:
      return Take(record, kTextAt, false, example.text);
    case Shape::kCompletion:
      if (auto fault = Take(record, kPromptAt, true, example.text)) return fault;
      return Take(record, kCompletionAt, false, example.text_pair);
    case Shape::kMessages:
      return ReadConversation(record, example);
    case Shape::kLabelled:
      break;
  }
  return std::nullopt;
}

}  // namespace graft::datasets
