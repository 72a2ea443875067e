/// The patterns written out by hand against a small engine that tries alternatives and takes steps
/// back as the regular expressions say. parity_bpe.py compares them with the library's.
#include "common/tokenizers/components/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "common/tokenizers/unicode/char_class.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;
using unicode::CharClass;
using Codes = std::vector<uint32_t>;

/// A character class, and how often it stands there.
struct Item {
  std::function<bool(uint32_t)> matches;
  size_t least = 1, most = 1;
};
struct Alternative {
  std::vector<Item> items;
  bool ends_before_space = false;  ///< (?!\S)
};

CharClass Kind(uint32_t code) { return unicode::CharClasses::Get()[code]; }

/// The end of the longest-first match of items[from] and on, npos if there is none.
size_t Match(const Alternative& alternative, size_t from, const Codes& text, size_t at) {
  if (from == alternative.items.size()) {
    const bool blocked =
        alternative.ends_before_space && at < text.size() && Kind(text[at]) != CharClass::kSpace;
    return blocked ? std::string::npos : at;
  }
  const Item& item = alternative.items[from];
  size_t count = 0;
  while (count < item.most && at + count < text.size() && item.matches(text[at + count])) ++count;
  for (size_t taken = count + 1; taken-- > item.least;) {
    const size_t end = Match(alternative, from + 1, text, at + taken);
    if (end != std::string::npos) return end;
  }
  return std::string::npos;
}

std::vector<Alternative> AlternativesOf(SplitPattern pattern) {
  const bool gpt2 = pattern == SplitPattern::kGpt2;
  const auto is = [](CharClass kind) { return [=](uint32_t code) { return Kind(code) == kind; }; };
  const auto letter = is(CharClass::kLetter);
  const auto number = is(CharClass::kNumber);
  const auto space = is(CharClass::kSpace);
  const auto other = is(CharClass::kOther);
  const auto newline = [](uint32_t code) { return code == '\r' || code == '\n'; };
  const auto lead = [=](uint32_t code) { return !newline(code) && !letter(code) && !number(code); };
  const auto one = [](uint32_t wanted, bool any_case) {
    return [=](uint32_t code) {
      return code == wanted ||
             (any_case && (code == wanted - 32 || (wanted == 's' && code == 0x17F)));
    };
  };
  const size_t many = 1'000'000;
  std::vector<Alternative> all;
  for (const char* word : {"s", "t", "re", "ve", "m", "ll", "d"}) {
    Alternative contraction{{{one('\'', false)}}};
    for (const char* c = word; *c != '\0'; ++c) {
      contraction.items.push_back({one(static_cast<uint32_t>(*c), !gpt2)});
    }
    all.push_back(contraction);
  }
  const Item maybe_space = {one(' ', false), 0, 1};
  if (gpt2) {
    for (const auto& kind : {letter, number, other}) {
      all.push_back({{maybe_space, {kind, 1, many}}});
    }
  } else {
    all.push_back({{{lead, 0, 1}, {letter, 1, many}}});
    all.push_back({{{number, 1, pattern == SplitPattern::kLlama3 ? 3u : 1u}}});
    all.push_back({{maybe_space, {other, 1, many}, {newline, 0, many}}});
    all.push_back({{{space, 0, many}, {newline, 1, many}}});
  }
  all.push_back({{{space, 1, many}}, true});
  all.push_back({{{space, 1, many}}});
  return all;
}

std::string Utf8(const Codes& codes, size_t from, size_t end) {
  std::string text;
  for (size_t i = from; i < end; ++i) unicode::Append(codes[i], text);
  return text;
}

std::vector<std::string> Cut(SplitPattern pattern, std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = MatchEnd(pattern, text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

class SplitPatternTest : public testing::TestWithParam<SplitPattern> {};
INSTANTIATE_TEST_SUITE_P(All, SplitPatternTest,
                         testing::Values(SplitPattern::kGpt2, SplitPattern::kLlama3,
                                         SplitPattern::kQwen2));

TEST_P(SplitPatternTest, MatchesAsTheRegularExpressionDoes) {
  const std::vector<Alternative> alternatives = AlternativesOf(GetParam());
  const Codes drawn = {'a', 'S', 's',  'd',   'm',    't',   'l',   'L',    'e',    'E',
                       'r', 'v', '\'', '\'',  ' ',    ' ',   '\n',  '\r',   '\t',   '1',
                       '2', '!', 0xA0, 0x17F, 0x4E2D, 0x660, 0x301, 0x2028, 0x1F642};
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    Codes codes(1 + random() % 12);
    for (uint32_t& code : codes) code = drawn[random() % drawn.size()];
    std::vector<std::string> expected;
    for (size_t at = 0; at < codes.size();) {
      size_t end = std::string::npos;
      for (size_t i = 0; end == std::string::npos; ++i)
        end = Match(alternatives.at(i), 0, codes, at);
      expected.push_back(Utf8(codes, at, end));
      at = end;
    }
    ASSERT_EQ(Cut(GetParam(), Utf8(codes, 0, codes.size())), expected);
  }
}

TEST(KnownPatternTest, KnowsItsOwn) {
  for (const SplitPattern pattern :
       {SplitPattern::kGpt2, SplitPattern::kLlama3, SplitPattern::kQwen2}) {
    EXPECT_EQ(KnownPattern(RegexOf(pattern)), pattern);
  }
  EXPECT_EQ(KnownPattern("\\s+"), std::nullopt);
  EXPECT_EQ(KnownPattern(""), std::nullopt);
}

TEST(Gpt2PatternTest, KeepsOneSpaceWithTheWord) {
  EXPECT_THAT(Cut(SplitPattern::kGpt2, "I'll pay  $12!\n"),
              ElementsAre("I", "'ll", " pay", " ", " $", "12", "!", "\n"));
  EXPECT_THAT(Cut(SplitPattern::kGpt2, "I'LL"), ElementsAre("I", "'", "LL"));
}

TEST(Llama3PatternTest, CutsDigitsByThreeAndKeepsNewlinesWithPunctuation) {
  EXPECT_THAT(Cut(SplitPattern::kLlama3, "I'LL (pay) 12345!\n\n  x"),
              ElementsAre("I", "'LL", " (", "pay", ")", " ", "123", "45", "!\n\n", " ", " x"));
  EXPECT_THAT(Cut(SplitPattern::kLlama3, " \n \n  x"), ElementsAre(" \n \n", " ", " x"));
}

TEST(Qwen2PatternTest, DigitsStandAlone) {
  EXPECT_THAT(Cut(SplitPattern::kQwen2, "a 123"), ElementsAre("a", " ", "1", "2", "3"));
}

}  // namespace
}  // namespace graft::tokenizers
