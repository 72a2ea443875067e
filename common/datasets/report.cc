#include "common/datasets/report.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/split.h"

namespace graft::datasets {
namespace {

/// Far beyond what any base reads (512 tokens are about 2,500 bytes).
constexpr size_t kLongBytes = 20000;
/// Of the most frequent label over the least frequent one.
constexpr int64_t kUneven = 10;

std::string Count(int64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

size_t Bytes(const Example& example) { return example.text.size() + example.text_pair.size(); }

void FindRepeats(const IngestedDataset& dataset, std::vector<std::string>& doubts) {
  std::vector<const Example*> all;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) all.push_back(&example);
  }
  const TextGroups groups = GroupByText(all);
  constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> first_in_train(groups.num_groups, kNone);
  std::vector<bool> disagrees(groups.num_groups);
  const size_t num_train = dataset.train.size();
  int64_t repeats = 0;
  for (uint32_t i = 0; i < num_train; ++i) {
    const uint32_t group = groups.group_of[i];
    if (first_in_train[group] == kNone) {
      first_in_train[group] = i;
      continue;
    }
    ++repeats;
    if (all[first_in_train[group]]->label != all[i]->label) disagrees[group] = true;
  }
  if (repeats > 0) {
    doubts.push_back(Count(repeats, "training example") + " of " + std::to_string(num_train) +
                     (repeats == 1 ? " repeats" : " repeat") + " an earlier text");
  }
  if (const auto texts = std::count(disagrees.begin(), disagrees.end(), true); texts > 0) {
    doubts.push_back(Count(texts, "training text") + (texts == 1 ? " stands" : " stand") +
                     " there with different labels");
  }
  const auto count_leaks = [&](size_t begin, size_t size, const std::string& name) {
    const auto leaks =
        std::count_if(groups.group_of.begin() + static_cast<ptrdiff_t>(begin),
                      groups.group_of.begin() + static_cast<ptrdiff_t>(begin + size),
                      [&](uint32_t group) { return first_in_train[group] != kNone; });
    if (leaks == 0) return;
    doubts.push_back(Count(leaks, name + " example") + " of " + std::to_string(size) +
                     (leaks == 1 ? " is" : " are") +
                     " also in train, so results on it will look better than they are");
  };
  count_leaks(num_train, dataset.validation.size(), "validation");
  count_leaks(num_train + dataset.validation.size(), dataset.test.size(), "test");
}

void FindLongTexts(const IngestedDataset& dataset, std::vector<std::string>& doubts) {
  int64_t num_long = 0;
  size_t longest = 0;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) {
      longest = std::max(longest, Bytes(example));
      if (Bytes(example) > kLongBytes) ++num_long;
    }
  }
  if (num_long == 0) return;
  doubts.push_back(Count(num_long, "text") + (num_long == 1 ? " is" : " are") + " longer than " +
                   std::to_string(kLongBytes) + " bytes (the longest has " +
                   std::to_string(longest) + "); what is beyond max_length tokens isn't read");
}

void FindUnevenLabels(const IngestedDataset& dataset, std::vector<std::string>& doubts) {
  const auto& names = dataset.label_names;
  if (names.empty()) return;
  std::vector<int64_t> counts(names.size());
  for (const Example& example : dataset.train) {
    if (example.label >= 0) ++counts[static_cast<size_t>(example.label)];
  }
  const auto most =
      static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  size_t least = most;
  std::string absent;
  int64_t num_absent = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) {
      if (++num_absent <= 5) absent += (absent.empty() ? "" : ", ") + Quoted(names[i]);
    } else if (counts[i] < counts[least]) {
      least = i;
    }
  }
  if (num_absent > 0 && counts[most] > 0) {
    doubts.push_back(Count(num_absent, "label") + " of label_names " +
                     (num_absent == 1 ? "has" : "have") + " no training example: " + absent +
                     (num_absent > 5 ? ", ..." : ""));
  }
  if (counts[least] > 0 && counts[most] / counts[least] >= kUneven) {
    doubts.push_back("the labels are uneven: " + Quoted(names[most]) + " has " +
                     Count(counts[most], "training example") + ", " + Quoted(names[least]) +
                     " has " + std::to_string(counts[least]));
  }
}

/// Sequences that come from UTF-8 read as Latin-1 or Windows-1252 and written as UTF-8 again: a
/// lead byte and a continuation byte, each as two bytes.
bool LooksDecodedTwice(std::string_view text) {
  for (size_t at = text.find("\xC3"); at != std::string_view::npos;
       at = text.find("\xC3", at + 1)) {
    const std::string_view next = text.substr(at + 1, 3);
    if (next.size() == 3 && (next[0] == '\x83' || next[0] == '\xA2') &&
        ((next[1] == '\xC2' && (next[2] & 0x80) != 0) || next.substr(1) == "\xE2\x82")) {
      return true;
    }
  }
  return false;
}

bool IsNumber(std::string_view text) {
  return text.find_first_of("0123456789") != std::string_view::npos &&
         text.find_first_not_of("0123456789 .,-+") == std::string_view::npos;
}

void FindTextDoubts(const IngestedDataset& dataset, std::vector<std::string>& doubts) {
  int64_t num_lost = 0;
  int64_t num_twice = 0;
  size_t num_numbers = 0;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) {
      for (const std::string* text : {&example.text, &example.text_pair}) {
        if (text->find("\xEF\xBF\xBD") != std::string::npos) ++num_lost;
        if (LooksDecodedTwice(*text)) ++num_twice;
      }
      if (split == &dataset.train && IsNumber(example.text)) ++num_numbers;
    }
  }
  if (num_lost > 0) {
    doubts.push_back(Count(num_lost, "text") + (num_lost == 1 ? " holds" : " hold") +
                     " U+FFFD, which stands for characters that were lost when the file was "
                     "converted");
  }
  if (num_twice > 0) {
    doubts.push_back(
        Count(num_twice, "text") + (num_twice == 1 ? " looks" : " look") +
        " as if encoded twice (\xC3\x83\xC2\xA9 for \xC3\xA9); convert the file from its first "
        "encoding to UTF-8 once");
  }
  constexpr size_t kEnough = 10;
  if (dataset.train.size() >= kEnough && num_numbers * 10 >= dataset.train.size() * 9) {
    doubts.push_back("nearly all texts are numbers such as " + Quoted(dataset.train.front().text) +
                     "; is it the column of the texts?");
  }
}

/// Of prompts with completions: a prompt may be empty, but seldom is meant to be.
void FindEmptyPrompts(const IngestedDataset& dataset, std::vector<std::string>& doubts) {
  int64_t num_empty = 0, first = 0;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) {
      if (example.text.empty() && num_empty++ == 0) first = example.line;
    }
  }
  if (num_empty == 0) return;
  doubts.push_back(Count(num_empty, "prompt") + (num_empty == 1 ? " is" : " are") +
                   " empty (the first on line " + std::to_string(first) +
                   "): their completions are learned as what a text begins with");
}

}  // namespace

void Report::AddError(ErrorDetail error) {
  if (errors.size() < kMaxListedFaults) {
    errors.push_back(std::move(error));
  } else {
    ++omitted_errors;
  }
}

std::string Report::Summary() const {
  if (usable()) {
    std::string text;
    for (const SplitReport& split : splits) {
      text += (text.empty() ? "" : ", ") + Count(split.examples, split.name + " example");
    }
    if (!splits.empty() && !splits.front().labels.empty()) {
      text += ", " + Count(static_cast<int64_t>(splits.front().labels.size()), "label");
    }
    return text;
  }
  const ErrorDetail& first = errors.front();
  std::string where = first.field;
  if (first.line > 0) where += " line " + std::to_string(first.line);
  if (!first.column.empty()) where += " column " + Quoted(first.column);
  const auto listed = static_cast<int64_t>(errors.size());
  std::string text = where + ": " + first.message;
  if (listed + omitted_errors > 1) {
    text += " (the first of " + std::to_string(listed + omitted_errors) + " faults in the data";
    if (omitted_errors > 0) {
      text += "; " + std::to_string(listed) + " are listed, " + std::to_string(omitted_errors) +
              " more are not";
    }
    text += ")";
  }
  return text;
}

Status ToStatus(const Report& report) {
  if (report.usable()) return OkStatus();
  Status status = InvalidArgumentError(report.Summary());
  for (const ErrorDetail& error : report.errors) status.AddDetail(error);
  return status;
}

SplitReport CountSplit(std::string name, const std::vector<Example>& examples,
                       const std::vector<std::string>& label_names) {
  SplitReport report;
  report.name = std::move(name);
  report.examples = static_cast<int64_t>(examples.size());
  std::vector<int64_t> counts(label_names.size());
  uint64_t total = 0;
  size_t least = std::numeric_limits<size_t>::max();
  size_t most = 0;
  for (const Example& example : examples) {
    if (example.label >= 0) ++counts[static_cast<size_t>(example.label)];
    total += Bytes(example);
    least = std::min(least, Bytes(example));
    most = std::max(most, Bytes(example));
  }
  for (size_t i = 0; i < counts.size(); ++i)
    report.labels[Printable(label_names[i], 256)] += counts[i];
  if (examples.empty()) return report;
  report.min_bytes = static_cast<int64_t>(least);
  report.max_bytes = static_cast<int64_t>(most);
  report.mean_bytes = static_cast<double>(total) / static_cast<double>(examples.size());
  return report;
}

std::vector<std::string> FindDoubts(const IngestedDataset& dataset) {
  std::vector<std::string> doubts;
  FindRepeats(dataset, doubts);
  if (dataset.shape == Shape::kCompletion) FindEmptyPrompts(dataset, doubts);
  // What a language model reads of long texts is counted in tokens.
  if (dataset.shape == Shape::kLabelled) FindLongTexts(dataset, doubts);
  FindTextDoubts(dataset, doubts);
  FindUnevenLabels(dataset, doubts);
  return doubts;
}

}  // namespace graft::datasets
