#include "common/base/guard.h"

#include <future>
#include <memory>
#include <new>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

Status Thrown(const std::function<void()>& body) { return Contained(body); }

TEST(GuardTest, WhatABodyReturnsIsPassedOn) {
  EXPECT_TRUE(Contained([] {}).ok());
  EXPECT_EQ(Contained([] { return NotFoundError("x"); }).code(), StatusCode::kNotFound);
  const auto moved =
      Contained([]() -> StatusOr<std::unique_ptr<int>> { return std::make_unique<int>(7); });
  EXPECT_EQ(**moved, 7);
}

TEST(GuardTest, WhatABodyThrowsBecomesAStatus) {
  const Status memory = Thrown([] { throw std::bad_alloc(); });
  EXPECT_EQ(memory.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(memory.details().at(0).reason, "OUT_OF_MEMORY");

  const Status bug = Thrown([] { throw std::runtime_error("it broke"); });
  EXPECT_EQ(bug.code(), StatusCode::kInternal);
  EXPECT_THAT(bug.message(), HasSubstr("it broke"));

  EXPECT_EQ(Thrown([] { throw 7; }).code(), StatusCode::kInternal);
  EXPECT_THAT(Thrown([] { throw std::runtime_error(std::string(5000, 'x')); }).message(),
              SizeIs(testing::Lt(1100U)));
}

TEST(GuardTest, AThreadEndsWithAStatusNotWithTheProcess) {
  std::promise<Status> told;
  std::thread thread = StartThread([] { throw std::bad_alloc(); },
                                   [&](const Status& status) { told.set_value(status); });
  thread.join();

  EXPECT_EQ(told.get_future().get().code(), StatusCode::kResourceExhausted);
}

TEST(GuardTest, AThreadWhoseEndCannotBeToldEndsAllTheSame) {
  std::thread thread =
      StartThread([] { throw std::bad_alloc(); }, [](const Status&) { throw std::bad_alloc(); });
  thread.join();
}

}  // namespace
}  // namespace graft
