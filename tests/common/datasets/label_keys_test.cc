#include "common/datasets/label_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace graft::datasets {
namespace {

TEST(LabelKeysTest, TheSameLabelHasOneKey) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"spam", "spam\xC2\xA0"},      // No-break space.
      {"spam", "\xE2\x80\x8Fspam"},  // A mark of direction.
      {"a b",
       "a\xC2\xA0"
       "b"},  // Inner white space of another kind.
      {"a b", "a\tb"},
      {"\xC3\xA9", "e\xCC\x81"},                                 // Composed and not.
      {"\xE1\xBB\x87", "e\xCC\x82\xCC\xA3"},                     // Marks in another order.
      {"\xED\x95\x9C", "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"},  // Hangul.
      {"A1", "\xEF\xBC\xA1\xEF\xBC\x91"},                        // Full width.
      {"fi", "\xEF\xAC\x81"},                                    // A ligature.
      {"\xE2\x9D\xA4", "\xE2\x9D\xA4\xEF\xB8\x8F"},  // A heart and its variation selector.
  };
  for (const auto& [a, b] : pairs) EXPECT_EQ(SameLabelKey(a), SameLabelKey(b)) << a << " " << b;
}

TEST(LabelKeysTest, OtherLabelsHaveOthers) {
  const std::vector<std::string> labels = {"spam",     "Spam", "sp am",        "sp  am",
                                           "sp-am",    "m2",   "m\xC2\xB2",    "e",
                                           "\xC3\xA9", "1",    "\xE2\x91\xA0", "sp\xD0\xB0m"};
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t k = 0; k < i; ++k)
      EXPECT_NE(SameLabelKey(labels[i]), SameLabelKey(labels[k])) << labels[i] << " " << labels[k];
  }
}

TEST(LabelKeysTest, AlikeLabelsHaveOneKey) {
  const std::vector<std::pair<std::string, std::string>> pairs = {{"spam", "SPAM"},
                                                                  {"not spam", "not_spam"},
                                                                  {"not-spam", "NotSpam"},
                                                                  {"stra\xC3\x9F"
                                                                   "e",
                                                                   "STRASSE"},
                                                                  {"\xCE\xA3", "\xCF\x82"},
                                                                  {"\xC3\xA4", "\xC3\x84"},
                                                                  {"m2", "m\xC2\xB2"},
                                                                  {"1", "\xE2\x91\xA0"}};
  for (const auto& [a, b] : pairs) EXPECT_EQ(AlikeLabelKey(a), AlikeLabelKey(b)) << a << " " << b;
  EXPECT_NE(AlikeLabelKey("A-"), AlikeLabelKey("A")) << "marks";
  EXPECT_NE(AlikeLabelKey("-1"), AlikeLabelKey("1"));
  EXPECT_NE(AlikeLabelKey("1-2"), AlikeLabelKey("12")) << "a range";
}

TEST(LabelKeysTest, LettersOfTwoAlphabetsLookAlike) {
  EXPECT_EQ(LookLabelKey("sp\xD0\xB0m"), LookLabelKey("Spam"));
  EXPECT_NE(AlikeLabelKey("sp\xD0\xB0m"), AlikeLabelKey("spam"));
}

TEST(LabelKeysTest, NumbersAsPeopleWriteThem) {
  for (const auto& [text, value] : std::vector<std::pair<std::string, double>>{{"3", 3},
                                                                               {"-1", -1},
                                                                               {"+2", 2},
                                                                               {"0.25", 0.25},
                                                                               {"0,25", 0.25},
                                                                               {".5", 0.5},
                                                                               {" 1.0 ", 1},
                                                                               {"1e-3", 0.001}}) {
    ASSERT_TRUE(NumberLabel(text).has_value()) << text;
    EXPECT_EQ(*NumberLabel(text), value) << text;
  }
  for (const char* text :
       {"", "-", "nan", "inf", "1.2.3", "0x10", "1 2", "a1", "1a", "1,2,3", "--1"})
    EXPECT_FALSE(NumberLabel(text)) << text;
}

TEST(LabelKeysTest, NumbersAreOrderedByValue) {
  std::vector<std::string> names = {
      "10", "2", "2.0", "1.5", "-3", "100000000000000001", "100000000000000000", "0,5"};
  std::sort(names.begin(), names.end(), IsSmallerNumber);
  EXPECT_EQ(names, (std::vector<std::string>{"-3", "0,5", "1.5", "2", "2.0", "10",
                                             "100000000000000000", "100000000000000001"}));
}

TEST(IntegerLabelTest, KnowsIntegers) {
  EXPECT_EQ(IntegerLabel("0"), 0);
  EXPECT_EQ(IntegerLabel("-12"), -12);
  EXPECT_EQ(IntegerLabel("007"), 7);
  EXPECT_EQ(IntegerLabel("999999999999999999"), 999999999999999999);
  for (const char* text : {"", "-", "+1", "1.0", " 1", "1 ", "0x1", "1e3", "9999999999999999999"}) {
    EXPECT_FALSE(IntegerLabel(text)) << text;
  }
}

}  // namespace
}  // namespace graft::datasets
