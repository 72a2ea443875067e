/// The part of a spec's flags that says what is trained: --task and what goes with it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <google/protobuf/util/json_util.h>

#include "client/cli/choices.h"
#include "client/cli/spec_flags.h"
#include "client/cli/template_variables.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using graft::v1::CausalLanguageModeling;

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

/// A flag that is given and only language models have; empty if none is.
std::string LanguageFlag(const SpecFlags& flags) {
  for (const auto& [given, name] : {std::pair(!flags.prompt_column.empty(), "--prompt-column"),
                                    {!flags.completion_column.empty(), "--completion-column"},
                                    {!flags.messages_column.empty(), "--messages-column"},
                                    {!flags.tools_column.empty(), "--tools-column"},
                                    {!flags.loss_on.empty(), "--loss-on"},
                                    {!flags.chat_template.empty(), "--chat-template"},
                                    {!flags.template_variables.empty(), kTemplateVariableFlag},
                                    {!flags.samples.empty(), "--sample"}}) {
    if (given) return name;
  }
  return {};
}

std::string ClassifierFlag(const SpecFlags& flags) {
  if (!flags.label_names.empty()) return "--label-name";
  return flags.label_column.empty() ? "" : "--label-column";
}

StatusOr<std::string> ReadTemplate(const std::string& path) {
  const std::string flag = "--chat-template " + Printable(path);
  if (std::error_code error; std::filesystem::is_directory(path, error))
    return UsageError(flag + " is a folder; give the template's file");
  std::ifstream file(path);
  std::stringstream read;
  read << file.rdbuf();
  if (!file) return UsageError(flag + " can't be read");
  std::string text = read.str();
  if (text.empty())
    return UsageError(flag + " has no template; leave the flag out to have the base's");
  if (const size_t at = FirstInvalidUtf8(text); at != std::string::npos)
    return UsageError(flag + " isn't UTF-8 at byte " + std::to_string(at));
  return text;
}

/// What --spec's file has of the same names is replaced.
Status SetVariables(const std::vector<std::string>& pairs, google::protobuf::Struct& variables) {
  GRAFT_ASSIGN_OR_RETURN(const auto read, ReadTemplateVariables(pairs));
  for (const auto& [name, json] : read) {
    google::protobuf::Value& value = (*variables.mutable_fields())[name];
    if (!google::protobuf::util::JsonStringToMessage(json, &value).ok()) {
      return UsageError(std::string(kTemplateVariableFlag) + " " + Printable(name) +
                        ": its value can't be sent: " + Printable(json, 200));
    }
  }
  return OkStatus();
}

Status SetLanguage(const SpecFlags& flags, CausalLanguageModeling& language) {
  if (!flags.loss_on.empty()) {
    CausalLanguageModeling::LossOn loss_on{};
    if (!CausalLanguageModeling::LossOn_Parse(Upper(flags.loss_on), &loss_on) || loss_on == 0)
      return UsageError("--loss-on " + Printable(flags.loss_on) + ": use answers or all");
    language.set_loss_on(loss_on);
  }
  if (!flags.chat_template.empty()) {
    GRAFT_ASSIGN_OR_RETURN(*language.mutable_chat_template(), ReadTemplate(flags.chat_template));
  }
  if (!flags.template_variables.empty()) {
    GRAFT_RETURN_IF_ERROR(
        SetVariables(flags.template_variables, *language.mutable_chat_template_variables()));
  }
  if (!flags.samples.empty()) language.clear_samples();
  for (const std::string& sample : flags.samples) language.add_samples(sample);
  return OkStatus();
}

}  // namespace

void AddTaskFlags(command_line::Command command, SpecFlags& flags) {
  command
      .Add("--task", flags.task,
           "sequence_classification or causal_lm (default: by what else is given)")
      .Offer(FieldChoices(*graft::v1::Task::descriptor()));
  command
      .Add("--loss-on", flags.loss_on,
           "For language models: answers (completions, the assistant's turns; default) or all")
      .Offer(ValueChoices(*CausalLanguageModeling::LossOn_descriptor()));
  command.Add("--chat-template", flags.chat_template,
              "For language models: a file with the template of conversations (default: "
              "--init-from's, else the base's)");
  AddTemplateVariables(command, flags.template_variables);
}

Status SetTask(const SpecFlags& flags, graft::v1::Task& task) {
  const std::string language = LanguageFlag(flags), classifier = ClassifierFlag(flags);
  if (!language.empty() && !classifier.empty()) {
    return UsageError(language + " is for language models and " + classifier +
                      " for classifiers; give one of them");
  }
  if (!flags.task.empty()) {
    const google::protobuf::Descriptor& kinds = *graft::v1::Task::descriptor();
    std::string name = AsciiLower(flags.task);
    std::replace(name.begin(), name.end(), '-', '_');
    const google::protobuf::FieldDescriptor* kind = kinds.FindFieldByName(name);
    if (kind == nullptr) {
      return UsageError("--task " + Printable(flags.task) +
                        ": use sequence_classification or causal_lm");
    }
    const bool is_language = kind->number() == graft::v1::Task::kCausalLmFieldNumber;
    const std::string& other = is_language ? classifier : language;
    if (!other.empty()) return UsageError("--task " + name + ": " + other + " is for another task");
    task.GetReflection()->MutableMessage(&task, kind);
  }
  if (!language.empty() || task.has_causal_lm()) {
    if (!classifier.empty())
      return UsageError(classifier + " is for classifiers, and --spec's task is causal_lm");
    return SetLanguage(flags, *task.mutable_causal_lm());
  }
  if (flags.label_names.empty()) return OkStatus();
  task.mutable_sequence_classification()->clear_label_names();
  for (const std::string& name : flags.label_names)
    task.mutable_sequence_classification()->add_label_names(name);
  return OkStatus();
}

}  // namespace graft::cli
