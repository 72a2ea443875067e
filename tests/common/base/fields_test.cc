#include "common/base/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/base/utf8.h"
#include "tests/support/details.h"

namespace graft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What reading one field of `{"f": value}` ends with.
template <typename Read>
Status After(const Json& value, Read&& read) {
  const Json json = {{"f", value}};
  Fields fields(json, "a.b");
  read(fields);
  return fields.Finish();
}

TEST(FieldsTest, ReadsEachKind) {
  const Json json = {{"i", 3},         {"u", 4},      {"n", 0.5},
                     {"flag", true},   {"text", "x"}, {"texts", {"a", "b"}},
                     {"choice", "TWO"}};
  Fields fields(json, "a");

  EXPECT_EQ(fields.Integer("i", 0, 9, 1), 3);
  EXPECT_EQ(fields.Unsigned64("u", 1), 4u);
  EXPECT_EQ(fields.Number("n", 0, 1, 0), 0.5);
  EXPECT_TRUE(fields.Flag("flag", false));
  EXPECT_EQ(fields.Text("text", 8), "x");
  EXPECT_THAT(fields.Texts("texts", 8, 8), ElementsAre("a", "b"));
  EXPECT_EQ(fields.Choice("choice", {"ONE", "TWO"}, 0), 1u);
  EXPECT_TRUE(fields.Finish().ok()) << fields.Finish();
}

TEST(FieldsTest, AbsentAndNullFieldsTakeTheFallback) {
  const Json json = {{"i", nullptr}};
  Fields fields(json, "a");

  EXPECT_EQ(fields.Integer("i", 5, 9, 1), 1);
  EXPECT_EQ(fields.Unsigned64("u", 7), 7u);
  EXPECT_EQ(fields.Number("n", 0, 1, 2.5), 2.5);
  EXPECT_TRUE(fields.Flag("flag", true));
  EXPECT_EQ(fields.Text("text", 8, "fallback"), "fallback");
  EXPECT_TRUE(fields.Texts("texts", 8, 8).empty());
  EXPECT_EQ(fields.Choice("choice", {"ONE", "TWO"}, 1), 1u);
  EXPECT_TRUE(fields.Finish().ok()) << fields.Finish();
}

TEST(FieldsTest, WhatIsNoObjectIsRefused) {
  for (const Json& json : {Json(), Json(3), Json("x"), Json::array(), Json(true)}) {
    Fields fields(json, "method.lora");

    EXPECT_EQ(fields.Integer("i", 0, 9, 1), 1) << json;

    EXPECT_EQ(fields.Finish().message(), "method.lora must be an object") << json;
    EXPECT_EQ(FieldOf(fields.Finish()), "method.lora") << json;
  }
}

TEST(FieldsTest, AFieldThatWasNotReadIsUnknown) {
  const Json json = {{"rank", 1}, {"ranks", 2}};
  Fields fields(json, "a.b");
  fields.Integer("rank", 0, 9, 1);
  fields.Has("alpha");

  const Status status = fields.Finish();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "a.b.ranks is not a field here; there are alpha, rank");
  EXPECT_EQ(FieldOf(status), "a.b.ranks");
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
}

TEST(FieldsTest, AnUnknownFieldsNameIsCutBetweenCharacters) {
  const Json json = {{std::string(79, 'x') + "\xC3\xA9" + std::string(100'000, 'y'), 1}};
  Fields fields(json, "a");

  const Status status = fields.Finish();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_LT(status.message().size(), 300u);
  EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
}

TEST(FieldsTest, WithoutAPrefixTheFieldIsItsOwnPath) {
  const Json json = {{"base", 3}};
  Fields fields(json, "");

  fields.Text("base", 8);

  EXPECT_EQ(FieldOf(fields.Finish()), "base");
}

TEST(FieldsTest, TheFirstFaultStays) {
  const Json json = {{"a", "x"}, {"b", "x"}, {"unknown", 1}};
  Fields fields(json, "");

  fields.Integer("b", 0, 9, 0);
  fields.Integer("a", 0, 9, 0);

  EXPECT_EQ(FieldOf(fields.Finish()), "b");
}

TEST(FieldsIntegerTest, TakesNumbersTextsAndWholeReals) {
  for (const Json& value : {Json(7), Json(7u), Json("7"), Json(7.0)}) {
    const Json json = {{"f", value}};
    Fields fields(json, "");

    EXPECT_EQ(fields.Integer("f", 0, 9, 0), 7) << value;
    EXPECT_TRUE(fields.Finish().ok()) << value;
  }
}

TEST(FieldsIntegerTest, TakesTheBoundsAndTheWholeRange) {
  for (const int64_t value : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
    for (const Json& form : {Json(value), Json(std::to_string(value))}) {
      const Json json = {{"f", form}};
      Fields fields(json, "");

      EXPECT_EQ(fields.Integer("f", INT64_MIN, INT64_MAX, 1), value) << form;
      EXPECT_TRUE(fields.Finish().ok()) << form;
    }
  }
}

TEST(FieldsIntegerTest, RefusesAllElse) {
  for (const Json& value : {Json(0),
                            Json(10),
                            Json(-1),
                            Json(1.5),
                            Json(1e300),
                            Json(-1e300),
                            Json(UINT64_MAX),
                            Json("x"),
                            Json(""),
                            Json("1x"),
                            Json("1.0"),
                            Json(" 1"),
                            Json("1 "),
                            Json("+1"),
                            Json("0x1"),
                            Json("99999999999999999999"),
                            Json(std::string("1\0", 2)),
                            Json("-"),
                            Json(true),
                            Json::array({1}),
                            Json::object()}) {
    const Status status = After(value, [](Fields& f) { EXPECT_EQ(f.Integer("f", 1, 9, 5), 5); });

    EXPECT_EQ(status.message(), "a.b.f must be a whole number from 1 to 9") << value;
    EXPECT_EQ(FieldOf(status), "a.b.f") << value;
  }
}

TEST(FieldsUnsigned64Test, TakesTheWholeRange) {
  for (const Json& value : {Json(UINT64_MAX), Json("18446744073709551615")}) {
    const Json json = {{"f", value}};
    Fields fields(json, "");

    EXPECT_EQ(fields.Unsigned64("f", 1), UINT64_MAX) << value;
    EXPECT_TRUE(fields.Finish().ok()) << value;
  }
}

TEST(FieldsUnsigned64Test, TakesASignedNumberThatIsNotNegative) {
  const Json json = {{"f", int64_t{0}}};
  Fields fields(json, "");

  EXPECT_EQ(fields.Unsigned64("f", 1), 0u);
  EXPECT_TRUE(fields.Finish().ok()) << fields.Finish();
}

TEST(FieldsUnsigned64Test, RefusesAllElse) {
  for (const Json& value :
       {Json(-1), Json(1.5), Json("-1"), Json("+1"), Json(" 1"), Json("18446744073709551616"),
        Json("99999999999999999999999"), Json(""), Json("x"), Json(true), Json::array()}) {
    const Status status = After(value, [](Fields& f) { EXPECT_EQ(f.Unsigned64("f", 9), 9u); });

    EXPECT_EQ(status.message(), "a.b.f must be a whole number from 0 to 2^64-1") << value;
  }
}

TEST(FieldsNumberTest, BoundsAreOpenWhereSaid) {
  using Bounds = Fields::Bounds;
  const auto in = [](const Json& value, Bounds bounds) {
    return After(value, [&](Fields& f) { f.Number("f", 0, 1, 0.5, bounds); }).ok();
  };

  EXPECT_TRUE(in(0, Bounds::kClosed));
  EXPECT_TRUE(in(1, Bounds::kClosed));
  EXPECT_FALSE(in(0, Bounds::kOpenLow));
  EXPECT_TRUE(in(1, Bounds::kOpenLow));
  EXPECT_TRUE(in(5e-324, Bounds::kOpenLow));
  EXPECT_TRUE(in(0, Bounds::kOpenHigh));
  EXPECT_FALSE(in(1, Bounds::kOpenHigh));
}

TEST(FieldsNumberTest, TheMessageShowsTheRange) {
  const auto said = [](Fields::Bounds bounds) {
    return After(-1, [&](Fields& f) { f.Number("f", 0, 0.9, 0.5, bounds); }).message();
  };

  EXPECT_EQ(said(Fields::Bounds::kClosed), "a.b.f must be a number in [0, 0.9]");
  EXPECT_EQ(said(Fields::Bounds::kOpenLow), "a.b.f must be a number in (0, 0.9]");
  EXPECT_EQ(said(Fields::Bounds::kOpenHigh), "a.b.f must be a number in [0, 0.9)");
}

TEST(FieldsNumberTest, RefusesAllElse) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Json& value : {Json(-1e-9), Json(1.1), Json(infinity), Json(-infinity),
                            Json(std::nan("")), Json("0.5"), Json(true), Json::array()}) {
    const Status status =
        After(value, [](Fields& f) { EXPECT_EQ(f.Number("f", 0, 1, 0.25), 0.25); });

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << value;
  }
}

TEST(FieldsFlagTest, RefusesAllElse) {
  for (const Json& value : {Json(0), Json(1), Json("true"), Json::array()}) {
    EXPECT_EQ(After(value, [](Fields& f) { EXPECT_TRUE(f.Flag("f", true)); }).message(),
              "a.b.f must be true or false")
        << value;
  }
}

TEST(FieldsTextTest, IsBoundedInBytes) {
  const auto ok = [](const Json& value) {
    return After(value, [](Fields& f) { f.Text("f", 4); }).ok();
  };

  EXPECT_TRUE(ok("1234"));
  EXPECT_TRUE(ok(""));
  EXPECT_FALSE(ok("12345"));
  EXPECT_FALSE(ok("\xC3\xA9\xC3\xA9\xC3\xA9"));
  EXPECT_FALSE(ok(1234));
}

TEST(FieldsTextsTest, IsBoundedInCountAndBytes) {
  const auto ok = [](const Json& value) {
    return After(value, [](Fields& f) { f.Texts("f", 2, 4); }).ok();
  };

  EXPECT_TRUE(ok(Json::array()));
  EXPECT_TRUE(ok({"a", "1234"}));
  EXPECT_FALSE(ok({"a", "b", "c"}));
  EXPECT_FALSE(ok({"a", "12345"}));
  EXPECT_FALSE(ok({"a", Json(1)}));
  EXPECT_FALSE(ok("a"));
  EXPECT_FALSE(ok(Json{{"a", "b"}}));
}

TEST(FieldsTextsTest, AFaultyListIsReadAsEmpty) {
  const Status status =
      After({"a", Json(1)}, [](Fields& f) { EXPECT_TRUE(f.Texts("f", 2, 4).empty()); });

  EXPECT_EQ(status.message(), "a.b.f must be a list of at most 2 texts of at most 4 bytes");
}

TEST(FieldsChoiceTest, UnspecifiedIsTheFallback) {
  for (const char* value : {"", "PLACEMENT_UNSPECIFIED"}) {
    EXPECT_TRUE(After(value,
                      [](Fields& f) {
                        EXPECT_EQ(f.Choice("f", {"ONE", "TWO"}, 1), 1u);
                      })
                    .ok())
        << value;
  }
}

TEST(FieldsChoiceTest, NamesAreReadInAnyCase) {
  for (const char* value : {"two", "Two", "TWO"}) {
    EXPECT_TRUE(After(value,
                      [](Fields& f) {
                        EXPECT_EQ(f.Choice("f", {"ONE", "TWO"}, 0), 1u);
                      })
                    .ok())
        << value;
  }
}

TEST(FieldsChoiceTest, AnotherNameIsRefusedWithTheList) {
  const auto read = [](Fields& f) { f.Choice("f", {"ONE", "TWO"}, 0); };

  EXPECT_EQ(After("three", read).message(), "a.b.f is \"three\"; use one of ONE, TWO");
  EXPECT_EQ(After("\x1B[2J\xE2\x80\xAE", read).message(),
            "a.b.f is \"\\u001b[2J\\u202e\"; use one of ONE, TWO");
  EXPECT_EQ(After("THREE", read).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(After(1, read).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(After(std::string(65, 'X'), read).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace graft
