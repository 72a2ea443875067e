#include "common/templates/library/strftime.h"

#include <gtest/gtest.h>

namespace graft::templates {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year;

const std::chrono::sys_seconds kTime =
    sys_days(year(2024) / 7 / 6) + hours(15) + minutes(4) + seconds(5);

TEST(FormatTimeTest, EachDirectiveIsPythons) {
  EXPECT_EQ(*FormatTime("%a %A %b %B", kTime), "Sat Saturday Jul July");
  EXPECT_EQ(*FormatTime("%d %e %-d %m %-m %y %Y", kTime), "06  6 6 07 7 24 2024");
  EXPECT_EQ(*FormatTime("%H:%M:%S %I %-I %p", kTime), "15:04:05 03 3 PM");
  EXPECT_EQ(*FormatTime("%j %w %% %F %T %D", kTime), "188 6 % 2024-07-06 15:04:05 07/06/24");
  EXPECT_EQ(*FormatTime("%c", kTime), "Sat Jul  6 15:04:05 2024");
  EXPECT_EQ(*FormatTime("\u00e9 no directive", kTime), "\u00e9 no directive");
}

TEST(FormatTimeTest, MidnightAndNewYearAreRight) {
  EXPECT_EQ(*FormatTime("%I %p %j", sys_days(year(2023) / 1 / 1)), "12 AM 001");
  EXPECT_EQ(*FormatTime("%j %d", sys_days(year(2024) / 12 / 31)), "366 31");
  EXPECT_EQ(*FormatTime("%Y-%m-%d %H", sys_days(year(1969) / 12 / 31) + hours(23)),
            "1969-12-31 23");
}

TEST(FormatTimeTest, WhatIsNotBuiltIsNamed) {
  for (const char* format : {"%Z", "%f", "%U", "%", "%-", "%Ex", "%q"}) {
    const auto text = FormatTime(format, kTime);
    EXPECT_FALSE(text.ok()) << format << " " << (text.ok() ? *text : "");
  }
  EXPECT_EQ(FormatTime("%Z", kTime).status().message(), "strftime_now() has no \"%Z\" here");
}

}  // namespace
}  // namespace graft::templates
