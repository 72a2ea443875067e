/// Merges and the table of words against the definition of what they find, and the work they do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "common/tokenizers/matching/merges.h"
#include "common/tokenizers/matching/word_table.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;
using Rules = std::map<std::pair<int32_t, int32_t>, std::pair<int32_t, int32_t>>;

/// Joins the pair of the lowest rank, of equal ones the leftmost, until there is none.
std::vector<int32_t> Naive(const Rules& rules, std::vector<int32_t> ids) {
  while (true) {
    size_t best = ids.size();
    int32_t rank = INT32_MAX;
    int32_t joined = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto rule = rules.find({ids[i], ids[i + 1]});
      if (rule == rules.end() || rule->second.first >= rank) continue;
      best = i;
      std::tie(rank, joined) = rule->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = joined;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

Merges Made(const Rules& rules) {
  Merges merges(rules.size() / 2);  // Fewer than there are: it grows.
  for (const auto& [pair, rule] : rules) {
    merges.Add(pair.first, pair.second, rule.first, rule.second);
  }
  return merges;
}

TEST(MergesTest, JoinsAsTheDefinitionDoes) {
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    Rules rules;
    int32_t num_ids = 3;
    const int num_rules = static_cast<int>(random() % 30);
    for (int rank = 0; rank < num_rules; ++rank) {
      const auto draw = [&] {
        return static_cast<int32_t>(random() % static_cast<uint32_t>(num_ids));
      };
      if (rules.emplace(std::pair(draw(), draw()), std::pair(rank, num_ids)).second) ++num_ids;
    }
    const Merges merges = Made(rules);
    // Both ways of merging, the one for short words and the one for long ones.
    for (const size_t most : {8, 30, 33, 120}) {
      std::vector<int32_t> ids(random() % (most + 1));
      for (int32_t& id : ids) id = static_cast<int32_t>(random() % 3);
      std::vector<int32_t> merged = {7, 7};  // Stand before the word and stay.
      merged.insert(merged.end(), ids.begin(), ids.end());
      merges.Apply(merged, 2);
      std::vector<int32_t> expected = Naive(rules, ids);
      expected.insert(expected.begin(), {7, 7});
      ASSERT_EQ(merged, expected) << "round " << round;
    }
  }
}

TEST(MergesTest, OfAPairThatIsAddedTwiceTheLastCounts) {
  Merges merges;
  merges.Add(1, 2, 0, 3);
  merges.Add(2, 2, 1, 4);
  merges.Add(1, 2, 2, 5);
  std::vector<int32_t> ids = {1, 2, 2, 1, 2};
  merges.Apply(ids, 0);
  EXPECT_THAT(ids, ElementsAre(1, 4, 5));
}

TEST(MergesTest, AMillionEqualBytesTakeAMillionSteps) {
  Rules rules;
  for (int32_t id = 0; id < 7; ++id) rules[{id, id}] = {id, id + 1};
  const Merges merges = Made(rules);
  std::vector<int32_t> ids(1'000'000, 0);
  size_t steps = 0;

  merges.Apply(ids, 0, &steps);

  EXPECT_EQ(ids.size(), 1'000'000u / 128 + 1);  // 7812 of 128, and one of 64.
  EXPECT_LT(steps, 4'000'000u);
}

TEST(WordTableTest, FindsWhatWasInserted) {
  std::mt19937 random(1);
  std::map<std::string, int32_t> words;
  WordTable table;
  for (int32_t i = 0; i < 5000; ++i) {
    std::string word(random() % 20, '\0');
    for (char& c : word) c = static_cast<char>(random() % (i % 2 == 0 ? 2 : 256));
    if (words.emplace(word, i).second) table.Insert(word, i);
  }
  for (const auto& [word, value] : words) EXPECT_EQ(table.Find(word), value);
  for (int i = 0; i < 5000; ++i) {
    std::string word(random() % 22, '\0');
    for (char& c : word) c = static_cast<char>(random() % 3);
    const auto found = words.find(word);
    EXPECT_EQ(table.Find(word), found == words.end() ? WordTable::kNone : found->second);
  }
}

}  // namespace
}  // namespace graft::tokenizers
