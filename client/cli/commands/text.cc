#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "client/cli/commands/commands.h"
#include "client/cli/generation_flags.h"
#include "client/cli/portions.h"
#include "client/cli/text_inputs.h"
#include "client/cli/text_printer.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using Stub = graft::v1::InferenceService::Stub;

struct Flags : GenerationFlags {
  std::vector<std::string> texts;
  bool chat = false, pair = false, tokens = false;
};

graft::v1::ChatMessage Message(const std::string& role, const std::string& content) {
  graft::v1::ChatMessage message;
  message.set_role(role);
  message.set_content(content);
  return message;
}

int Generate(Context& context, const Flags& flags) {
  auto request = MakeRequest(flags);
  if (!request.ok()) return Refuse(context, request.status());
  const auto chat = MakeChat(flags);
  if (!chat.ok()) return Refuse(context, chat.status());
  if (!flags.chat && (chat->messages_size() > 0 || !chat->variables().empty()))
    return Refuse(context,
                  UsageError("--system and --template-variable belong to a chat; say --chat"));
  const auto prompts = TextInputs::Read(flags.texts, /*pair=*/false, std::cin);
  if (!prompts.ok()) return Refuse(context, prompts.status());
  TextPrinter printer(context);
  for (const graft::v1::TextInput& prompt : *prompts) {
    if (flags.chat) {
      *request->mutable_chat() = *chat;
      *request->mutable_chat()->add_messages() = Message("user", prompt.text());
    } else {
      request->set_prompt(prompt.text());
    }
    const auto text = printer.Show(*request);
    if (!text.ok()) return Refuse(context, text.status());
  }
  return kOk;
}

/// The next thing that the user says; nothing at the end.
bool ReadTurn(Context& context, std::string& line) {
  if (context.in_terminal && !context.json) context.err << "> " << std::flush;
  while (std::getline(std::cin, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) return true;
    if (context.in_terminal && !context.json) context.err << "> " << std::flush;
  }
  return false;
}

int Chat(Context& context, const Flags& flags) {
  auto request = MakeRequest(flags);
  if (!request.ok()) return Refuse(context, request.status());
  auto chat = MakeChat(flags);
  if (!chat.ok()) return Refuse(context, chat.status());
  TextPrinter printer(context);
  auto& messages = *chat->mutable_messages();
  for (std::string line; ReadTurn(context, line);) {
    if (FirstInvalidUtf8(line) != std::string_view::npos) {
      const int code = Refuse(context, UsageError("this line isn't UTF-8: " + Quoted(line)));
      if (!context.in_terminal) return code;
      continue;
    }
    *messages.Add() = Message("user", line);
    *request->mutable_chat() = *chat;
    const auto answer = printer.Show(*request);
    if (answer.ok()) {
      *messages.Add() = Message("assistant", *answer);
      continue;
    }
    // A person can say something else; what comes from a file would answer an answer that isn't.
    const int code = Refuse(context, answer.status());
    if (!context.in_terminal) return code;
    messages.RemoveLast();
  }
  if (context.in_terminal && !context.json) context.err << "\n";
  return kOk;
}

void PrintScore(Context& context, const graft::v1::ScoreResponse::Score& score,
                const std::string& text, bool with_tokens) {
  // Of the first token of a text without a beginning nothing tells how likely it is.
  const bool is_known = std::ranges::any_of(
      score.tokens(), [](const auto& token) { return token.has_log_probability(); });
  context.out << (is_known ? Fixed(score.log_probability(), 4) : "-") << "  " << score.tokens_size()
              << (score.tokens_size() == 1 ? " token  " : " tokens  ") << OnOneLine(text) << "\n";
  if (!with_tokens) return;
  for (const auto& token : score.tokens()) {
    context.out << "  " << (token.has_log_probability() ? Fixed(token.log_probability(), 4) : "-")
                << "  " << token.id() << "  " << OnOneLine(token.text()) << "\n";
  }
}

int Score(Context& context, const Flags& flags) {
  if (flags.adapter.empty() == flags.base.empty())
    return Refuse(context, UsageError("say who scores: either --adapter or --base"));
  const auto inputs = TextInputs::Read(flags.texts, flags.pair, std::cin);
  if (!inputs.ok()) return Refuse(context, inputs.status());
  graft::v1::ScoreResponse answer;
  const auto ask = [&](size_t begin, size_t end) -> Status {
    graft::v1::ScoreRequest request;
    request.set_adapter(flags.adapter);
    request.set_base(flags.base);
    for (size_t i = begin; i < end; ++i) {
      const graft::v1::TextInput& input = (*inputs)[i];
      auto* scored = request.add_inputs();
      scored->set_prompt(flags.pair ? input.text() : std::string());
      scored->set_text(flags.pair ? input.text_pair() : input.text());
    }
    GRAFT_ASSIGN_OR_RETURN(
        answer, context.client->Call(context.client->inference(), &Stub::Score, request));
    return OkStatus();
  };
  return SendInPortions(context, *inputs, ask, [&](size_t begin) {
    if (context.json) return PrintJson(context, answer);
    for (int i = 0; i < answer.scores_size(); ++i) {
      const graft::v1::TextInput& input = (*inputs)[begin + static_cast<size_t>(i)];
      PrintScore(context, answer.scores(i), flags.pair ? input.text_pair() : input.text(),
                 flags.tokens);
    }
  });
}

}  // namespace

void AddTextCommands(Command root, Action& run) {
  auto flags = std::make_shared<Flags>();
  const auto add = [&](const char* name, const char* help, int (*action)(Context&, const Flags&)) {
    Command command = root.AddCommand(name, help);
    command.OnChosen(
        [&run, flags, action] { run = [=](Context& context) { return action(context, *flags); }; });
    return command;
  };
  Command generate =
      add("generate", "Continue prompts, or answer them, as the text comes", Generate);
  AddGenerationFlags(generate, *flags);
  generate.Add("--n", flags->n, "So many texts for each prompt, up to 64");
  generate.AddFlag("--chat", flags->chat, "Each prompt is a message that the model answers");
  AddChatFlags(generate, *flags);
  generate.Add("prompts", flags->texts, "Prompts; - reads lines from standard input");
  Command chat = add("chat", "Talk with a model; each line that you type is a message", Chat);
  AddGenerationFlags(chat, *flags);
  AddChatFlags(chat, *flags);
  Command score = add("score", "Log-probabilities of texts", Score);
  AddModelFlags(score, flags->adapter, flags->base);
  score.AddFlag("--pair", flags->pair,
                "Texts are pairs, PROMPT TEXT: the prompt is read and the text is scored");
  score.AddFlag("--tokens", flags->tokens, "Each token too");
  score.Add("texts", flags->texts, "Texts; - reads lines from standard input");
}

}  // namespace graft::cli
