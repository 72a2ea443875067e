#include "common/base/rename_fields.h"

#include <gtest/gtest.h>

namespace graft {
namespace {

TEST(RenameFieldsTest, FieldsAreRenamedAndAllElseStays) {
  const Status status =
      NotFoundError("gone").AddDetail({"A", "x", 3, "c", "m"}).AddDetail({"B", "", 0, {}, {}});
  const auto below = [](const std::string& field) {
    return field.empty() ? field : "top." + field;
  };

  const Status renamed = RenameFields(status, below);

  EXPECT_EQ(
      renamed,
      NotFoundError("gone").AddDetail({"A", "top.x", 3, "c", "m"}).AddDetail({"B", "", 0, {}, {}}));
  EXPECT_TRUE(RenameFields(OkStatus(), below).ok());
}

}  // namespace
}  // namespace graft
