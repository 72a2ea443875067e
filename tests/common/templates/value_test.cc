#include "common/templates/values/value.h"

#include <gtest/gtest.h>

#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

TEST(FloatTextTest, IsTheShortestThatReadsBackAsPythonWritesIt) {
  EXPECT_EQ(FloatText(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(FloatText(1), "1.0");
  EXPECT_EQ(FloatText(-0.0), "-0.0");
  EXPECT_EQ(FloatText(1e15), "1000000000000000.0");
  EXPECT_EQ(FloatText(1e16), "1e+16");
  EXPECT_EQ(FloatText(123456789012345680.0), "1.2345678901234568e+17");
  EXPECT_EQ(FloatText(0.0001), "0.0001");
  EXPECT_EQ(FloatText(0.00001), "1e-05");
  EXPECT_EQ(FloatText(-2.5e-7), "-2.5e-07");
  EXPECT_EQ(FloatText(5e-324), "5e-324");
  EXPECT_EQ(FloatText(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(DictTest, KeysKeepTheirOrderAndEqualNumbersAreOneKey) {
  Dict dict;
  for (int64_t key = 20; key > 0; --key) ASSERT_TRUE(dict.Set(nullptr, key, key * key).ok());
  ASSERT_TRUE(dict.Set(nullptr, 7.0, ConstantText("seven")).ok());
  ASSERT_TRUE(dict.Set(nullptr, true, None()).ok());
  ASSERT_TRUE(dict.Set(nullptr, ConstantText("1"), 0.5).ok());

  EXPECT_EQ(dict.items().size(), 21);
  EXPECT_EQ(dict.items()[0].first.As<int64_t>(), 20);
  EXPECT_EQ(dict.Find(Value(int64_t{7}))->text(), "seven");
  EXPECT_TRUE(dict.Find(Value(1.0))->Is(Value::Kind::kNone));
  EXPECT_EQ(dict.Find("1")->As<double>(), 0.5);
  EXPECT_EQ(dict.Find(Value(int64_t{21})), nullptr);
  EXPECT_FALSE(dict.Set(nullptr, Value(std::nan("")), None()).ok());
}

TEST(SessionTest, MemoryOfValuesIsGivenBackWithThem) {
  Session session({.max_value_bytes = 1000}, {});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(MakeText(session, std::string(500, 'x')).ok());
  const auto kept = MakeText(session, std::string(500, 'x'));
  ASSERT_TRUE(kept.ok());

  EXPECT_FALSE(MakeText(session, std::string(500, 'x')).ok());
}

TEST(SessionTest, ATextThatDoesntFitIsNotBuilt) {
  Session session({.max_value_bytes = 1000}, {});
  TextBuilder text(session);
  EXPECT_TRUE(text.Append(std::string(800, 'x')));
  EXPECT_FALSE(text.Append(std::string(800, 'x')));
  EXPECT_FALSE(text.Append("x"));

  EXPECT_FALSE(text.Finish().ok());
}

TEST(FromJsonTest, KeepsNumbersKindsAndRefusesWhatDoesntFit) {
  const auto value = FromJson({1, 1.0, -1, true, nullptr, "a"}, 10);
  Session session({}, {});
  TextBuilder text(session);
  ASSERT_TRUE(AppendRepr(session, *value, text).ok());

  EXPECT_EQ(text.text(), "[1, 1.0, -1, True, None, 'a']");
  EXPECT_FALSE(FromJson(9223372036854775808U, 10).ok());
  EXPECT_FALSE(FromJson("\xff", 10).ok());
  EXPECT_FALSE(FromJson({{{1}}}, 2).ok());
}

}  // namespace
}  // namespace graft::templates
