/// Renders the conversations of standard input, one JSON object a line, and prints one object for
/// each: for parity.py. What comes in: template or file (its path), messages, and if wanted tools,
/// special_tokens, variables, add_generation_prompt, now (seconds since 1970). What goes out: text
/// and generated (pairs of bytes), or error and reason. With "turns" what goes out is text and
/// loss. With "folder" alone (and tools) it is the folder's template and special_tokens.
#include <chrono>
#include <iostream>
#include <map>
#include <string>

#include "common/base/file.h"
#include "common/templates/chat_files.h"
#include "common/templates/chat_template.h"
#include "common/templates/turns.h"

namespace {

using graft::OrderedJson;
using graft::StatusOr;
using graft::templates::ChatTemplate;
using graft::templates::Conversation;
using graft::templates::RenderOptions;

OrderedJson Pairs(const std::vector<graft::templates::ByteRange>& ranges) {
  OrderedJson pairs = OrderedJson::array();
  for (const auto& range : ranges) pairs.push_back({range.begin, range.end});
  return pairs;
}

StatusOr<OrderedJson> Render(const OrderedJson& line,
                             std::map<std::string, StatusOr<ChatTemplate>>& known) {
  const bool is_file = line.contains("file");
  const auto name = line.at(is_file ? "file" : "template").get<std::string>();
  auto found = known.find(name);
  if (found == known.end()) {
    const StatusOr<std::string> source = is_file ? graft::ReadFile(name) : name;
    GRAFT_RETURN_IF_ERROR(source.status());
    found = known.emplace(name, ChatTemplate::Parse(*source)).first;
  }
  GRAFT_RETURN_IF_ERROR(found->second.status());
  RenderOptions options;
  options.add_generation_prompt = line.value("add_generation_prompt", false);
  options.special_tokens = line.value("special_tokens", options.special_tokens);
  options.variables = line.value("variables", options.variables);
  if (line.contains("now")) {
    options.now = std::chrono::sys_seconds(std::chrono::seconds(line["now"].get<int64_t>()));
  }
  const Conversation conversation{line.at("messages"), line.value("tools", OrderedJson())};
  if (!line.value("turns", false)) {
    GRAFT_ASSIGN_OR_RETURN(const auto rendered, found->second->Render(conversation, options));
    return OrderedJson{{"text", rendered.text},
                       {"generated", Pairs(rendered.generated)},
                       {"steps", rendered.steps}};
  }
  GRAFT_ASSIGN_OR_RETURN(
      const auto text, graft::templates::RenderForTraining(*found->second, conversation, options));
  return OrderedJson{{"text", text.text}, {"loss", Pairs(text.loss)}};
}

StatusOr<OrderedJson> ReadFolder(const OrderedJson& line) {
  GRAFT_ASSIGN_OR_RETURN(const auto files,
                         graft::templates::ReadChatFiles(line.at("folder").get<std::string>()));
  GRAFT_ASSIGN_OR_RETURN(
      const std::string source,
      graft::templates::ChooseTemplate(files, !line.value("tools", OrderedJson()).is_null()));
  return OrderedJson{{"template", source}, {"special_tokens", files.special_tokens}};
}

StatusOr<OrderedJson> Answer(std::string_view text,
                             std::map<std::string, StatusOr<ChatTemplate>>& known) {
  GRAFT_ASSIGN_OR_RETURN(const OrderedJson line,
                         graft::ParseOrderedJson(text, "a line", {.max_depth = 1000}));
  return line.contains("folder") ? ReadFolder(line) : Render(line, known);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::map<std::string, StatusOr<ChatTemplate>> known;
  for (std::string text; std::getline(std::cin, text);) {
    const StatusOr<OrderedJson> answer = Answer(text, known);
    OrderedJson out = answer.ok() ? *answer : OrderedJson();
    if (!answer.ok()) {
      const graft::Status status = answer.status();
      out["error"] = status.message();
      out["reason"] = status.details().empty() ? "" : status.details()[0].reason;
    }
    std::cout << out.dump() << "\n";
  }
}
