#include "worker/engine/serving/generation/stop_strings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/base/utf8.h"

namespace graft::worker::engine::generation {
namespace {

using Texts = std::vector<std::string>;

struct Outcome {
  std::string text;
  std::optional<size_t> found;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// The definition, over a whole text: the first byte that completes a string, of these the longest.
Outcome Unstreamed(const Texts& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    const std::string_view front = std::string_view(text).substr(0, end);
    std::optional<size_t> found;
    for (size_t i = 0; i < stops.size(); ++i) {
      if (front.ends_with(stops[i]) && (!found || stops[i].size() > stops[*found].size()))
        found = i;
    }
    if (found) return {text.substr(0, end - stops[*found].size()), found};
  }
  return {text, {}};
}

Outcome Streamed(const Texts& stops, const Texts& pieces) {
  const StopStrings strings(stops);
  StopStream stream(strings);
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.text += stream.Add(piece);
  outcome.text += stream.Close();
  outcome.found = stream.found();
  return outcome;
}

/// Bytes at the text's end that begin a string without completing it.
size_t MustHold(const Texts& stops, const std::string& text) {
  size_t most = 0;
  for (const std::string& stop : stops) {
    for (size_t n = 1; n < std::min(stop.size(), text.size() + 1); ++n) {
      if (text.ends_with(stop.substr(0, n))) most = std::max(most, n);
    }
  }
  return most;
}

TEST(StopStringsTest, TextBehindAStopStringIsDropped) {
  EXPECT_EQ(Streamed({"END"}, {"some text END and more"}), (Outcome{"some text ", 0}));
}

TEST(StopStringsTest, WithoutAMatchAllTextComes) {
  EXPECT_EQ(Streamed({"END", "\n\n"}, {"some EN", "ED text\n", "EN"}),
            (Outcome{"some ENED text\nEN", {}}));
  EXPECT_EQ(Streamed({}, {"any", " text"}), (Outcome{"any text", {}}));
}

TEST(StopStringsTest, ABeginningIsHeldUntilItCannotCompleteAnyMore) {
  const StopStrings strings({"</answer>"});
  StopStream stream(strings);

  EXPECT_EQ(stream.Add("42</ans"), "42");
  EXPECT_EQ(stream.Add("wer"), "");
  EXPECT_EQ(stream.Add("ing <"), "</answering ");
  EXPECT_EQ(stream.Add("/answer"), "");
  EXPECT_EQ(stream.Add(">more"), "");
  EXPECT_EQ(stream.found(), 0U);
  EXPECT_EQ(stream.Add("still more"), "");
  EXPECT_EQ(stream.Close("tail"), "");
}

TEST(StopStringsTest, WhatWasHeldComesAtTheEnd) {
  const StopStrings strings({"abcd"});
  StopStream stream(strings);
  EXPECT_EQ(stream.Add("xab"), "x");

  EXPECT_EQ(stream.Close("c"), "abc");
}

TEST(StopStringsTest, TheLastPieceComesWithWhatWasHeldBeforeIt) {
  const StopStrings strings({"abcd"});
  StopStream stream(strings);
  EXPECT_EQ(stream.Add("xab"), "x");

  EXPECT_EQ(stream.Close("x ab"), "abx ab");
}

TEST(StopStringsTest, TheLastPieceMayCompleteAString) {
  const StopStrings strings({"abcd"});
  StopStream stream(strings);
  EXPECT_EQ(stream.Add("xab"), "x");

  EXPECT_EQ(stream.Close("cd"), "");
  EXPECT_EQ(stream.found(), 0U);
}

TEST(StopStringsTest, AStringMaySpanManyPieces) {
  EXPECT_EQ(Streamed({"stop"}, {"a", "s", "", "t", "o", "p", "b"}), (Outcome{"a", 0}));
}

TEST(StopStringsTest, AFalseBeginningMayHideARealOne) {
  EXPECT_EQ(Streamed({"aab"}, {"a", "a", "a", "b"}), (Outcome{"a", 0}));
  EXPECT_EQ(Streamed({"abac"}, {"aba", "bac"}), (Outcome{"ab", 0}));
}

TEST(StopStringsTest, TheStringThatIsCompleteFirstCounts) {
  EXPECT_EQ(Streamed({"bcdef", "cd"}, {"abcdef"}), (Outcome{"ab", 1}));
  EXPECT_EQ(Streamed({"abcd", "ab"}, {"xabcd"}), (Outcome{"x", 1})) << "one begins the other";
}

TEST(StopStringsTest, OfThoseCompleteAtOnceTheLongestCounts) {
  EXPECT_EQ(Streamed({"s>", "</s>", ">"}, {"text</s", ">"}), (Outcome{"text", 1}));
}

TEST(StopStringsTest, OfEqualStringsTheFirstCounts) {
  EXPECT_EQ(Streamed({"x", "ab", "ab"}, {"cab"}), (Outcome{"c", 1}));
}

TEST(StopStringsTest, CharactersThatBeginAlikeAreToldApart) {
  const StopStrings strings({"\u00e9t\u00e9"});  // Summer, in French.
  StopStream stream(strings);

  EXPECT_EQ(stream.Add("\u00ea"), "\u00ea") << "the first byte is the same";
  EXPECT_EQ(stream.Add("\u00e9"), "");
  EXPECT_EQ(stream.Add("t\u00e8"), "\u00e9t\u00e8");
  EXPECT_EQ(stream.Add("\u00e9t\u00e9"), "");
  EXPECT_EQ(stream.found(), 0U);
}

TEST(StopStringsTest, CharactersInPartsAreShownAsTheyCome) {
  EXPECT_EQ(Streamed({"\u20ac!"}, {"1\xe2", "\x82", "\xac", "?"}), (Outcome{"1\u20ac?", {}}));
  EXPECT_EQ(Streamed({"\u20ac!"}, {"1\xe2", "\x82", "\xac", "!"}), (Outcome{"1", 0}));
}

TEST(StopStringsTest, TimeIsLinearInTheText) {
  const Texts stops = {std::string(511, 'a') + "b", std::string(300, 'a') + "c", "aaaad"};
  const StopStrings strings(stops);
  StopStream stream(strings);
  constexpr int64_t kBytes = 200'000;

  for (int64_t i = 0; i < kBytes; ++i) stream.Add(i % 600 == 599 ? "x" : "a");

  EXPECT_LE(stream.steps(), 2 * kBytes);
}

/// Random texts over few letters, random strings, random cuts.
class RandomStopsTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  std::string Text(size_t letters, size_t most) {
    static const Texts kLetters = {"a", "b", "\u00e9", "\u00ea", "\u20ac", "\u20ad"};
    std::string text;
    for (size_t n = random_() % (most + 1); n > 0; --n) text += kLetters[random_() % letters];
    return text;
  }
  /// At characters, or anywhere.
  Texts Pieces(const std::string& text, bool whole_characters) {
    Texts pieces(1);
    for (size_t i = 0; i < text.size();) {
      const size_t n = whole_characters ? FirstCode(std::string_view(text).substr(i)).length : 1;
      if (random_() % 3 == 0) pieces.emplace_back();
      pieces.back() += text.substr(i, n);
      i += n;
    }
    return pieces;
  }

  std::mt19937 random_{GetParam()};
};

TEST_P(RandomStopsTest, PiecesJoinedAreTheUnstreamedTextAndNoMoreIsHeldThanMust) {
  for (int round = 0; round < 1000; ++round) {
    const size_t letters = 2 + random_() % 5;
    Texts stops;
    for (size_t n = random_() % 5; n > 0; --n) {
      if (std::string stop = Text(letters, 5); !stop.empty()) stops.push_back(std::move(stop));
    }
    const std::string text = Text(letters, 40);
    const bool whole_characters = random_() % 2 == 0;
    const Outcome wanted = Unstreamed(stops, text);
    const StopStrings strings(stops);
    StopStream stream(strings);
    std::string taken, shown;

    for (const std::string& piece : Pieces(text, whole_characters)) {
      const std::string_view now = stream.Add(piece);
      taken += piece;
      shown += now;
      ASSERT_TRUE(!whole_characters || FirstInvalidUtf8(now) == std::string_view::npos);
      ASSERT_TRUE(stream.found() || taken.size() - shown.size() == MustHold(stops, taken));
    }
    shown += stream.Close();

    ASSERT_EQ(shown, wanted.text) << text;
    ASSERT_EQ(stream.found(), wanted.found) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStopsTest, ::testing::Range(0U, 8U));

}  // namespace
}  // namespace graft::worker::engine::generation
