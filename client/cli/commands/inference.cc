#include <algorithm>
#include <iostream>
#include <memory>

#include "client/cli/commands/commands.h"
#include "client/cli/portions.h"
#include "client/cli/text_inputs.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using Stub = graft::v1::InferenceService::Stub;
struct Flags {
  std::string adapter, base;
  std::vector<std::string> texts;
  bool pair = false, logits = false, normalize = false;
  int top = 1;
};

StatusOr<TextInputs> Inputs(const Flags& flags) {
  return TextInputs::Read(flags.texts, flags.pair, std::cin);
}

void PrintPredictions(Context& context, const graft::v1::ClassifyResponse& answer,
                      const TextInputs& inputs, size_t begin, int top) {
  for (int i = 0; i < answer.predictions_size(); ++i) {
    auto probabilities = answer.predictions(i).probabilities();
    std::stable_sort(probabilities.begin(), probabilities.end(), [](const auto& a, const auto& b) {
      return a.probability() > b.probability();
    });
    for (int k = 0; k < std::min(top, probabilities.size()); ++k) {
      context.out << (k > 0 ? "  " : "") << OnOneLine(probabilities[k].label()) << " "
                  << Fixed(probabilities[k].probability(), 4);
    }
    context.out << "  " << OnOneLine(inputs[begin + static_cast<size_t>(i)].text())
                << (answer.predictions(i).truncated() ? "  (cut)" : "") << "\n";
  }
}

int Classify(Context& context, const Flags& flags) {
  const auto inputs = Inputs(flags);
  if (!inputs.ok()) return Refuse(context, inputs.status());
  graft::v1::ClassifyResponse answer;
  const auto ask = [&](size_t begin, size_t end) -> Status {
    graft::v1::ClassifyRequest request;
    request.set_adapter(flags.adapter);
    request.set_return_logits(flags.logits);
    for (size_t i = begin; i < end; ++i) *request.add_inputs() = (*inputs)[i];
    GRAFT_ASSIGN_OR_RETURN(
        answer, context.client->Call(context.client->inference(), &Stub::Classify, request));
    return OkStatus();
  };
  return SendInPortions(context, *inputs, ask, [&](size_t begin) {
    if (context.json) return PrintJson(context, answer);
    PrintPredictions(context, answer, *inputs, begin, flags.top);
  });
}

int Embed(Context& context, const Flags& flags) {
  const auto inputs = Inputs(flags);
  if (!inputs.ok()) return Refuse(context, inputs.status());
  graft::v1::EmbedResponse answer;
  const auto ask = [&](size_t begin, size_t end) -> Status {
    graft::v1::EmbedRequest request;
    request.set_adapter(flags.adapter);
    request.set_base(flags.base);
    request.set_normalize(flags.normalize);
    for (size_t i = begin; i < end; ++i) *request.add_inputs() = (*inputs)[i];
    GRAFT_ASSIGN_OR_RETURN(
        answer, context.client->Call(context.client->inference(), &Stub::Embed, request));
    return OkStatus();
  };
  return SendInPortions(context, *inputs, ask, [&](size_t) {
    if (context.json) return PrintJson(context, answer);
    for (const auto& embedding : answer.embeddings()) {
      for (int i = 0; i < embedding.values_size(); ++i)
        context.out << (i > 0 ? " " : "") << Fixed(embedding.values(i), 6);
      context.out << "\n";
    }
  });
}

}  // namespace

void AddInferenceCommands(Command root, Action& run) {
  auto flags = std::make_shared<Flags>();
  const auto add = [&](const char* name, const char* help, int (*action)(Context&, const Flags&)) {
    Command command = root.AddCommand(name, help);
    command.Add("--adapter", flags->adapter, "NAME, NAME@VERSION, NAME@sha256:...");
    command.Add("texts", flags->texts, "Texts; - reads lines from standard input");
    command.OnChosen(
        [&run, flags, action] { run = [=](Context& context) { return action(context, *flags); }; });
    return command;
  };
  Command classify = add("classify", "Classify texts", Classify);
  classify.AddFlag("--pair", flags->pair, "Texts are pairs: A1 B1 A2 B2 ...");
  classify.Add("--top", flags->top, "Show the k most probable labels").Between(1, 1'000'000);
  classify.AddFlag("--logits", flags->logits, "Ask for logits too (seen with --json)");
  Command embed = add("embed", "Sentence embeddings of a base, or of one under an adapter", Embed);
  embed.Add("--base", flags->base, "The plain base");
  embed.AddFlag("--normalize", flags->normalize, "To length 1");
  embed.AddFlag("--pair", flags->pair, "Texts are pairs");
}

}  // namespace graft::cli
