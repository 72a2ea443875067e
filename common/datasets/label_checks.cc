#include "common/datasets/label_checks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/label_keys.h"

namespace graft::datasets {
namespace {

/// Pairs that are listed of one kind.
constexpr size_t kMaxListed = 5;
/// So many decimals are classes if each has kRowsOfAClass rows.
constexpr size_t kFewDecimals = 10;
constexpr size_t kRowsOfAClass = 5;
/// More whole numbers than that may be scores.
constexpr size_t kManyWholeNumbers = 20;

std::string AtLine(int64_t line) { return line > 0 ? " (line " + std::to_string(line) + ")" : ""; }

using Key = std::function<std::string(const std::string&)>;

/// Calls `visit(first, other)` for each name whose key an earlier one (by line) has.
template <typename Visit>
void ForTwins(const LabelTable& labels, const Key& key, Visit visit) {
  std::vector<size_t> order(labels.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return labels.first_lines()[a] < labels.first_lines()[b];
  });
  std::map<std::string, size_t> first_of;
  for (const size_t i : order) {
    const auto [first, is_new] = first_of.emplace(key(labels.names()[i]), i);
    if (!is_new) visit(first->second, i);
  }
}

void AddTwinDoubts(const LabelTable& labels, const Key& key, const Key& told_key,
                   const std::string& what, std::vector<std::string>& doubts) {
  size_t count = 0;
  ForTwins(labels, key, [&](size_t a, size_t b) {
    const std::string& x = labels.names()[a];
    const std::string& y = labels.names()[b];
    if (told_key(x) == told_key(y)) return;
    if (++count <= kMaxListed) {
      doubts.push_back("the labels " + Quoted(x) + AtLine(labels.first_lines()[a]) + " and " +
                       Quoted(y) + AtLine(labels.first_lines()[b]) + " " + what +
                       ", and are taken as two");
    }
  });
  if (count > kMaxListed) {
    doubts.push_back(std::to_string(count - kMaxListed) + " more pairs of labels " + what);
  }
}

struct Numbers {
  size_t count = 0, decimals = 0;
  size_t sample = 0;  ///< Index of a decimal if there is one, else of a number.
};

Numbers CountNumbers(const LabelTable& labels) {
  Numbers numbers;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto value = NumberLabel(labels.names()[i]);
    if (!value) continue;
    const bool is_decimal = *value != std::trunc(*value);
    if (is_decimal ? numbers.decimals++ == 0 : numbers.count == 0) numbers.sample = i;
    ++numbers.count;
  }
  return numbers;
}

/// All but a few (a missing value, a header that was read as data) are numbers.
bool AreNumbers(const Numbers& numbers, const LabelTable& labels) {
  return numbers.count > 2 && numbers.count * 10 >= labels.size() * 9;
}

std::string NumbersSay(const Numbers& numbers, const LabelTable& labels) {
  return "the label column holds " + std::to_string(numbers.count) + " different numbers such as " +
         Printable(labels.names()[numbers.sample]) + "; ";
}

bool AreScores(const Numbers& numbers, const LabelTable& labels, size_t rows) {
  if (labels.is_fixed() || !AreNumbers(numbers, labels) || numbers.decimals == 0) return false;
  return numbers.count > kFewDecimals || rows < kRowsOfAClass * labels.size();
}

void FindNumberDoubts(const LabelTable& labels, std::vector<std::string>& doubts) {
  const Numbers numbers = CountNumbers(labels);
  if (labels.is_fixed() || !AreNumbers(numbers, labels)) return;
  if (numbers.decimals == 0 && numbers.count <= kManyWholeNumbers) return;
  doubts.push_back(NumbersSay(numbers, labels) +
                   "each is taken as a class of its own. If they are scores, that is regression, "
                   "which graft doesn't train");
}

bool IsList(std::string_view name) {
  return name.size() >= 2 && ((name.front() == '[' && name.back() == ']') ||
                              (name.front() == '{' && name.back() == '}'));
}

template <size_t N>
bool IsOneOf(const std::array<std::string_view, N>& words, std::string_view name) {
  return std::find(words.begin(), words.end(), AsciiLower(name)) != words.end();
}

/// True if a double holds the number, so that two of one value are one number: 15 digits at most.
bool IsExact(const std::string& name) {
  return std::count_if(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }) <= 15;
}

void FindNameDoubts(const LabelTable& labels, const std::vector<int64_t>& counts, bool has_header,
                    std::vector<std::string>& doubts) {
  constexpr std::array<std::string_view, 21> kMissing = {
      "nan", "na",   "n/a", "n.a.", "null",  "(null)",  "[null]",  "none",   "nil",    "#n/a", "?",
      "-",   "<na>", "nat", "\\n",  "#ref!", "#value!", "#div/0!", "#name?", "#null!", "#num!"};
  constexpr std::array<std::string_view, 9> kHeaders = {
      "label", "labels", "class", "target", "category", "tag", "intent", "sentiment", "score"};
  bool told_list = false, told_control = false;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string& name = labels.names()[i];
    const std::string at = AtLine(labels.first_lines()[i]);
    if (IsList(name) && !std::exchange(told_list, true)) {
      doubts.push_back("the label column holds lists such as " + Quoted(name) + at +
                       "; graft trains one label an example, so each list is taken as a class of "
                       "its own");
    }
    if (OnOneLine(name) != name && !std::exchange(told_control, true)) {
      doubts.push_back("the label " + Quoted(name) + at +
                       " holds characters that control a screen, which are taken as part of it; "
                       "clean the column "
                       "if they are none");
    }
    if (IsOneOf(kMissing, name)) {
      doubts.push_back("the label " + Quoted(name) + at + " looks like a missing value, and is " +
                       "taken as a class; drop its lines if it is none");
    }
    if (!has_header && labels.first_lines()[i] == 1 && counts[i] == 1 && IsOneOf(kHeaders, name)) {
      doubts.push_back("the first line, whose label is " + Quoted(name) +
                       ", looks like a header, and is taken as an example; read the file with its "
                       "header");
    }
  }
}

/// A name, and from where it differs from another that prints alike its characters' codes.
std::string Spelled(const std::string& name, const std::string& other) {
  constexpr size_t kMost = 3;
  size_t at = 0;
  for (size_t length = 1; at < name.size() && length > 0; at += length) {
    length = FirstCode(std::string_view(name).substr(at)).length;
    if (name.compare(at, length, other, std::min(at, other.size()), length) != 0) break;
  }
  std::string codes;
  bool is_ascii = true;
  size_t count = 0;
  for (std::string_view rest = std::string_view(name).substr(at); !rest.empty(); ++count) {
    const Utf8Code next = FirstCode(rest);
    rest.remove_prefix(std::max<size_t>(next.length, 1));
    if (count >= kMost) continue;
    is_ascii = is_ascii && next.code < 0x80;
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), " U+%04X", static_cast<unsigned>(next.code));
    codes += text.data();
  }
  if (is_ascii) return Quoted(name);
  return Quoted(name) + " (there" + codes + (count > kMost ? " ...)" : ")");
}

}  // namespace

std::vector<ErrorDetail> FindLabelTwins(const LabelTable& labels, std::string_view column) {
  std::vector<ErrorDetail> faults;
  if (labels.is_fixed()) return faults;
  ForTwins(labels, SameLabelKey, [&](size_t a, size_t b) {
    faults.push_back({"LABEL_TWINS", "dataset.train", labels.first_lines()[b], Printable(column),
                      "the labels " + Spelled(labels.names()[a], labels.names()[b]) +
                          " (first on line " + std::to_string(labels.first_lines()[a]) + ") and " +
                          Spelled(labels.names()[b], labels.names()[a]) + " (first on line " +
                          std::to_string(labels.first_lines()[b]) +
                          ") are one label, written with other spaces, invisible characters or "
                          "forms of the same letters; write them alike"});
  });
  return faults;
}

std::optional<std::string> FindNameTwins(const std::vector<std::string>& names) {
  std::optional<std::string> found;
  ForTwins(LabelTable(names), SameLabelKey, [&](size_t a, size_t b) {
    if (!found) {
      found = Spelled(names[a], names[b]) + " and " + Spelled(names[b], names[a]) +
              " are one label, written with other spaces, invisible characters or forms of the "
              "same letters";
    }
  });
  return found;
}

std::optional<ErrorDetail> FindScores(const LabelTable& labels, const std::vector<Example>& train,
                                      std::string_view column) {
  const Numbers numbers = CountNumbers(labels);
  if (!AreScores(numbers, labels, train.size())) return std::nullopt;
  return ErrorDetail{
      "LABELS_ARE_NUMBERS", "dataset.train", labels.first_lines()[numbers.sample],
      Printable(column),
      NumbersSay(numbers, labels) +
          "that is regression, which graft doesn't train. Make classes of them, such "
          "as low and high, or give label_names if each is a class"};
}

std::vector<std::string> FindLabelDoubts(const LabelTable& labels,
                                         const std::vector<Example>& train, bool has_header) {
  std::vector<std::string> doubts;
  std::vector<int64_t> counts(labels.size());
  for (const Example& example : train) {
    if (example.label >= 0) ++counts[static_cast<size_t>(example.label)];
  }
  AddTwinDoubts(labels, AlikeLabelKey, SameLabelKey,
                "differ only in case, spaces, hyphens or apostrophes", doubts);
  AddTwinDoubts(labels, LookLabelKey, AlikeLabelKey, "look alike but have letters of two alphabets",
                doubts);
  const Key number = [](const std::string& name) -> std::string {
    const auto value = NumberLabel(name);
    if (!value || !IsExact(name)) return name;
    if (*value == 0) return "=0";  // Also -0.
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *value).ptr;
    return "=" + std::string(digits.data(), end);
  };
  AddTwinDoubts(labels, number, AlikeLabelKey, "are the same number", doubts);
  FindNumberDoubts(labels, doubts);
  FindNameDoubts(labels, counts, has_header, doubts);
  constexpr size_t kEnoughRows = 20;
  if (train.size() >= kEnoughRows && labels.size() * 10 >= train.size() * 9) {
    doubts.push_back("nearly each of the " + std::to_string(train.size()) +
                     " training examples has its own label (" + std::to_string(labels.size()) +
                     " labels); is it the column of the labels?");
  }
  return doubts;
}

}  // namespace graft::datasets
