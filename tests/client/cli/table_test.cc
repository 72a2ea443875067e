#include "client/cli/table.h"

#include <sstream>

#include <gtest/gtest.h>

#include "client/cli/context.h"

namespace graft::cli {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"JOB", "STATE"});
  table.Add({"j1", "QUEUED"});
  table.Add({"longer-id", "FAILED"});
  std::ostringstream out;

  table.Print(out);

  EXPECT_EQ(out.str(),
            "JOB        STATE\n"
            "j1         QUEUED\n"
            "longer-id  FAILED\n");
}

TEST(TableTest, ShortRowEndsEarly) {
  Table table({"BASE", "FAMILY"});
  table.Add({"broken"});
  std::ostringstream out;

  table.Print(out);

  EXPECT_EQ(out.str(), "BASE  FAMILY\nbroken\n") << "a last cell widens no column";
}

TEST(FormatTest, AgeIsRounded) {
  EXPECT_EQ(Age(0), "just now");
  EXPECT_EQ(Age(90), "90s ago");
  EXPECT_EQ(Age(600), "10m ago");
  EXPECT_EQ(Age(7200), "2h ago");
  EXPECT_EQ(Age(200'000), "2d ago");
}

TEST(FormatTest, BytesHaveAUnit) {
  EXPECT_EQ(Bytes(999), "999 B");
  EXPECT_EQ(Bytes(20 << 10), "20.0 KiB");
  EXPECT_EQ(Bytes(int64_t{90} << 20), "90.0 MiB");
}

TEST(FormatTest, PrefixIsPutOnlyOnce) {
  EXPECT_EQ(WithPrefix("jobs/", "x"), "jobs/x");
  EXPECT_EQ(WithPrefix("jobs/", "jobs/x"), "jobs/x");
}

}  // namespace
}  // namespace graft::cli
