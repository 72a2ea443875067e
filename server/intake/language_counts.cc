#include "server/intake/language_counts.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/base/utf8.h"
#include "common/language/samples.h"
#include "common/spec/training_memory.h"
#include "common/templates/chat_files.h"

namespace graft::server::intake {
namespace {

constexpr const char* kTemplateField = "task.causal_lm.chat_template";
constexpr size_t kMaxLines = 8;  // In a message.

/// Examples of which one thing is told.
class Lines {
 public:
  void Add(int64_t line) {
    ++count_;
    if (lines_.size() < kMaxLines) lines_.push_back(line);
  }
  int64_t count() const { return count_; }
  /// "3 of 10 train examples", and where they stand.
  std::string Of(size_t all, const std::string& split) const {
    return std::to_string(count_) + " of " + std::to_string(all) + " " + split +
           (all == 1 ? " example" : " examples");
  }
  std::string Where() const {
    std::string text = lines_.size() == 1 && count_ == 1 ? " (line " : " (lines ";
    for (size_t i = 0; i < lines_.size(); ++i)
      text += (i > 0 ? ", " : "") + std::to_string(lines_[i]);
    const int64_t more = count_ - static_cast<int64_t>(lines_.size());
    return text + (more > 0 ? " and " + std::to_string(more) + " more)" : ")");
  }

 private:
  int64_t count_ = 0;
  std::vector<int64_t> lines_;
};

/// Counts one split.
class SplitCounter {
 public:
  SplitCounter(const language::Encoder& encoder, datasets::Shape shape, int max_length,
               std::string name, datasets::Report& report)
      : encoder_(encoder),
        shape_(shape),
        max_length_(max_length),
        name_(std::move(name)),
        report_(report) {}

  Status Count(const std::vector<datasets::Example>& examples,
               const std::function<Status()>& between) {
    for (const datasets::Example& example : examples) {
      GRAFT_RETURN_IF_ERROR(between());
      const auto encoded = encoder_.Encode(example);
      if (!encoded.ok()) {
        if (encoded.status().code() == StatusCode::kUnimplemented) return encoded.status();
        Refuse(example, encoded.status());
        continue;
      }
      if (encoded->is_too_long) too_long_.Add(example.line);
      for (const std::string& part : encoded->unread) unread_[part].Add(example.line);
      if (encoded->parts.empty()) dropped_.Add(example.line);
      for (const language::Part& part : encoded->parts) {
        lengths.push_back(static_cast<int32_t>(part.ids.size()));
        wanted.push_back(static_cast<int32_t>(part.targets.size()));
        loss_tokens += static_cast<int64_t>(part.targets.size());
        common.Add(part.ids, part.positions.front());
      }
    }
    Tell(examples.size());
    return OkStatus();
  }

  std::vector<int32_t> lengths, wanted;  ///< Of each sequence that examples become.
  int64_t loss_tokens = 0;
  spec::CommonBeginning common;
  int64_t too_long() const { return too_long_.count(); }
  int64_t dropped() const { return dropped_.count(); }

 private:
  void Refuse(const datasets::Example& example, const Status& status) {
    refused_ = true;
    const std::vector<ErrorDetail>& details = status.details();
    const bool has_reason = !details.empty() && details.front().reason != "INVALID_FIELD";
    report_.AddError({has_reason ? details.front().reason : "CHAT_REFUSED",
                      "dataset." + name_,
                      example.line,
                      {},
                      Printable(status.message(), 400)});
  }

  void TellUnread(size_t all) {
    for (const auto& [part, lines] : unread_) {
      report_.warnings.push_back(
          "the chat template doesn't read " + part + ", which " + lines.Of(all, name_) +
          (lines.count() == 1 ? " has" : " have") + lines.Where() +
          ": the model never sees that; give a template that writes it (--chat-template FILE)");
    }
  }

  void Tell(size_t all) {
    TellUnread(all);
    if (too_long_.count() > 0) {
      const bool is_split = shape_ == datasets::Shape::kText;
      report_.warnings.push_back(
          too_long_.Of(all, name_) + (too_long_.count() == 1 ? " has" : " have") + " more than " +
          std::to_string(max_length_) + " tokens (max_length)" + too_long_.Where() +
          (is_split ? ": split into sequences that don't see each other"
                    : ": what is beyond isn't read"));
    }
    if (dropped_.count() > 0) {
      report_.warnings.push_back(
          dropped_.Of(all, name_) + (dropped_.count() == 1 ? " has" : " have") +
          " no token to learn and" + (dropped_.count() == 1 ? " is" : " are") + " left out" +
          dropped_.Where());
    }
    if (lengths.empty() && all > 0 && !refused_) {
      report_.AddError({"NOTHING_TO_LEARN",
                        "dataset." + name_,
                        0,
                        {},
                        "no example has a token to learn; raise max_length, or see to the weights "
                        "of the assistant's messages"});
    }
  }

  const language::Encoder& encoder_;
  const datasets::Shape shape_;
  const int max_length_;
  const std::string name_;
  datasets::Report& report_;
  Lines too_long_, dropped_;
  std::map<std::string, Lines> unread_;  ///< By what the template doesn't read.
  bool refused_ = false;
};

bool HasTools(const datasets::IngestedDataset& dataset) {
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    if (std::ranges::any_of(*split, [](const auto& e) { return !e.text_pair.empty(); }))
      return true;
  }
  return false;
}

}  // namespace

StatusOr<std::string> ChooseChatTemplate(const datasets::IngestedDataset& dataset,
                                         const LanguageSetup& setup, const Base& base) {
  if (!setup.training.chat_template.empty()) return setup.training.chat_template;
  if (!setup.continued_template.empty()) return setup.continued_template;
  if (dataset.shape != datasets::Shape::kMessages) return std::string();
  if (!base.chat_error.ok()) return Status(base.chat_error).At(kTemplateField);
  auto chosen = templates::ChooseTemplate(base.chat, HasTools(dataset));
  if (chosen.status().code() != StatusCode::kNotFound) return chosen;
  return InvalidArgumentError("the base " + base.id +
                              " has no chat template, which conversations need; give one in "
                              "task.causal_lm.chat_template (--chat-template FILE)")
      .At(kTemplateField, "NO_CHAT_TEMPLATE");
}

StatusOr<TokenCounts> CountLanguage(const datasets::IngestedDataset& dataset,
                                    const LanguageSetup& setup, const Base& base,
                                    const std::function<Status()>& between,
                                    datasets::Report& report) {
  language::EncoderOptions options;
  options.shape = dataset.shape;
  options.loss_on = setup.training.loss_on;
  options.max_length = setup.max_length;
  options.chat = {setup.training.chat_template, base.chat.special_tokens,
                  setup.training.chat_template_variables, setup.now};
  GRAFT_ASSIGN_OR_RETURN(const auto encoder,
                         language::Encoder::Create(*base.tokenizer, std::move(options)));
  const bool is_chat = dataset.shape == datasets::Shape::kMessages;
  if (!is_chat && !base.tokenizer->Special("eos_token")) {
    report.warnings.push_back("the base " + base.id +
                              " names no eos_token, so nothing tells the model where a text ends");
  }
  if (!is_chat && !setup.training.chat_template.empty()) {
    report.warnings.push_back(
        "task.causal_lm.chat_template has no effect on training: the data holds no conversations; "
        "those with the version will be read with it");
  }
  for (const std::string& path : encoder->UnreadVariables()) {
    report.warnings.push_back("task.causal_lm.chat_template_" + Printable(path) +
                              " has no effect: the chat template doesn't name it");
  }
  TokenCounts counts;
  GRAFT_ASSIGN_OR_RETURN(const auto samples, language::EncodeSamples(*encoder, setup.training,
                                                                     base.layout.max_positions));
  for (const auto& sample : samples) counts.samples.push_back(static_cast<int64_t>(sample.size()));
  const auto count = [&](const char* name, const std::vector<datasets::Example>& examples,
                         auto take) -> Status {
    SplitCounter counter(*encoder, dataset.shape, setup.max_length, name, report);
    GRAFT_RETURN_IF_ERROR(counter.Count(examples, between));
    take(counter);
    return OkStatus();
  };
  const auto sum = [](const std::vector<int32_t>& lengths) {
    int64_t tokens = 0;
    for (const int32_t length : lengths) tokens += length;
    return tokens;
  };
  GRAFT_RETURN_IF_ERROR(count("train", dataset.train, [&](SplitCounter& counter) {
    counts.train = std::move(counter.lengths);
    counts.wanted = std::move(counter.wanted);
    counts.truncated_examples = counter.too_long();
    counts.loss_tokens = counter.loss_tokens;
    counts.common = counter.common.tokens();
    counts.dropped_examples = counter.dropped();
  }));
  GRAFT_RETURN_IF_ERROR(count("validation", dataset.validation, [&](const SplitCounter& counter) {
    counts.validation = sum(counter.lengths);
  }));
  GRAFT_RETURN_IF_ERROR(count("test", dataset.test, [&](const SplitCounter& counter) {
    counts.test = sum(counter.lengths);
  }));
  return counts;
}

}  // namespace graft::server::intake
