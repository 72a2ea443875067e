/// The two matchers against the definition of what they find, and the work that they do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "common/tokenizers/matching/longest_match.h"
#include "common/tokenizers/matching/word_pieces.h"

namespace graft::tokenizers {
namespace {

std::string Random(std::mt19937& random, size_t max_length, size_t letters) {
  std::string text(random() % (max_length + 1), 'a');
  for (char& c : text) c = static_cast<char>('a' + static_cast<int>(random() % letters));
  return text;
}

std::vector<LongestMatch::Match> NaiveMatches(const std::vector<std::string>& patterns,
                                              std::string_view text) {
  std::vector<LongestMatch::Match> matches;
  for (size_t i = 0; i < text.size();) {
    LongestMatch::Match best{i, i, 0};
    for (size_t p = 0; p < patterns.size(); ++p) {
      if (text.substr(i).starts_with(patterns[p]) && i + patterns[p].size() > best.end) {
        best = {i, i + patterns[p].size(), p};
      }
    }
    if (best.end > i) matches.push_back(best);
    i = std::max(best.end, i + 1);
  }
  return matches;
}

TEST(LongestMatchTest, FindsTheLeftmostLongestOfAnyPatterns) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const size_t letters = 1 + random() % 3;
    std::vector<std::string> patterns(random() % 8);
    for (std::string& pattern : patterns) pattern = Random(random, 6, letters);
    const std::string text = Random(random, 30, letters);

    const auto found = LongestMatch(patterns).Find(text);

    const auto expected = NaiveMatches(patterns, text);
    ASSERT_EQ(found.size(), expected.size()) << text;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].begin, expected[i].begin) << text;
      EXPECT_EQ(found[i].end, expected[i].end) << text;
      EXPECT_EQ(patterns[found[i].pattern], patterns[expected[i].pattern]) << text;
    }
  }
}

TEST(LongestMatchTest, OfEqualPatternsTheFirstCounts) {
  const auto found = LongestMatch({"x", "ab", "ab"}).Find("cabc");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pattern, 1u);
}

TEST(LongestMatchTest, ItsWorkDoesntGrowWithThePatterns) {
  std::vector<std::string> patterns;
  for (int i = 0; i < 20'000; ++i) patterns.push_back("term" + std::to_string(i) + "x");
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "a term" + std::to_string(i * 7) + "x in the text ";
  size_t steps = 0;

  const auto found = LongestMatch(patterns).Find(text, &steps);

  EXPECT_GT(found.size(), 2500u);
  EXPECT_LE(steps, 2 * text.size());
}

TEST(LongestMatchTest, ItsWorkIsLinearForPatternsThatNearlyMatchEverywhere) {
  std::vector<std::string> patterns;
  for (size_t i = 1; i <= 200; ++i) patterns.push_back("b" + std::string(i * 10, 'a'));
  const std::string text(100'000, 'a');
  size_t steps = 0;

  EXPECT_TRUE(LongestMatch(patterns).Find(text, &steps).empty());

  EXPECT_LE(steps, 2 * text.size());
}

/// The definition: the longest piece that fits, again and again.
bool NaiveCut(const std::map<std::string, int32_t>& first,
              const std::map<std::string, int32_t>& rest, const std::string& word,
              std::vector<int32_t>& ids) {
  for (size_t begin = 0; begin < word.size();) {
    const auto& pieces = begin == 0 ? first : rest;
    size_t length = word.size() - begin;
    while (length > 0 && !pieces.contains(word.substr(begin, length))) --length;
    if (length == 0) return false;
    ids.push_back(pieces.at(word.substr(begin, length)));
    begin += length;
  }
  return !word.empty();
}

std::vector<WordPieces::Piece> Pieces(const std::map<std::string, int32_t>& map) {
  return {map.begin(), map.end()};
}

TEST(WordPiecesTest, CutsAsTheDefinitionSays) {
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    const size_t letters = 1 + random() % 3;
    std::map<std::string, int32_t> first;
    std::map<std::string, int32_t> rest;
    for (int32_t id = 0; id < 9; ++id) {
      (id % 3 == 0 ? first : rest).emplace(Random(random, 5, letters), id);
    }
    first.erase("");
    rest.erase("");
    const WordPieces pieces(Pieces(first), Pieces(rest));
    for (int i = 0; i < 5; ++i) {
      const std::string word = Random(random, 12, letters);
      std::vector<int32_t> expected;
      if (!NaiveCut(first, rest, word, expected)) expected.clear();
      std::vector<int32_t> ids = {-7};
      size_t steps = 0;

      const bool covered = pieces.Cut(word, ids, &steps);

      EXPECT_EQ(covered, !expected.empty()) << word;
      EXPECT_EQ(std::vector<int32_t>(ids.begin() + 1, ids.end()), expected) << word;
      EXPECT_LE(steps, word.size() + 2 * word.size() + 1);
    }
  }
}

TEST(WordPiecesTest, ItsWorkIsLinearForPiecesThatNearlyMatchEverywhere) {
  // Each search for the long piece goes to the word's end before it fails.
  const std::string tail(50'000, 'a');
  const std::string long_piece = tail + "b";
  const WordPieces pieces({{"a", 0}, {long_piece, 1}}, {{"a", 2}, {long_piece, 3}});
  std::vector<int32_t> ids;
  size_t steps = 0;

  EXPECT_TRUE(pieces.Cut(tail, ids, &steps));

  EXPECT_EQ(ids.size(), tail.size());
  EXPECT_LE(steps, tail.size() + 2 * ids.size());
}

}  // namespace
}  // namespace graft::tokenizers
