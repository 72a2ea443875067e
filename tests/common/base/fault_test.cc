#include "common/base/fault.h"

#include <gtest/gtest.h>

namespace graft {
namespace {

TEST(FaultTest, EachFailureIsSomebodysByOneRule) {
  struct Case {
    Status status;
    Fault fault;
    bool retry;
  };
  const Status too_large =
      ResourceExhaustedError("x").At("hyperparameters.max_length", "DEVICE_OUT_OF_MEMORY");
  const Status device_full =
      ResourceExhaustedError("x").AddDetail({"DEVICE_OUT_OF_MEMORY", {}, 0, {}, {}});
  for (const Case& c :
       {Case{OkStatus(), Fault::kNone, false},
        Case{InvalidArgumentError("x").At("spec.method"), Fault::kJob, false},
        Case{FailedPreconditionError("x"), Fault::kJob, false},
        Case{NotFoundError("x"), Fault::kJob, false},
        Case{UnimplementedError("x"), Fault::kJob, false}, Case{too_large, Fault::kJob, false},
        Case{InvalidArgumentError("x").At("dataset.train"), Fault::kData, false},
        Case{NotFoundError("x").At("spec.dataset.test"), Fault::kData, false},
        Case{device_full, Fault::kWorker, true}, Case{InternalError("x"), Fault::kWorker, true},
        Case{UnavailableError("x"), Fault::kWorker, true},
        Case{DataLossError("x"), Fault::kWorker, true},
        Case{OfStore(UnavailableError("x")), Fault::kStore, true},
        Case{OfStore(DataLossError("x")), Fault::kStore, true},
        Case{OfStore(NotFoundError("x")), Fault::kStore, false},
        Case{OfStore(OkStatus()), Fault::kNone, false}}) {
    EXPECT_EQ(FaultOf(c.status), c.fault) << c.status;
    EXPECT_EQ(IsWorthRetrying(c.status), c.retry) << c.status;
  }
}

}  // namespace
}  // namespace graft
