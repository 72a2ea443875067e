#pragma once
/// The one crossing between graft::report and its messages. Thread safety: free functions.

#include "common/report/report.h"
#include "graft/v1/job.pb.h"

namespace graft::proto {

graft::v1::Progress ToProto(const report::Progress& progress);
graft::v1::Evaluation ToProto(const report::Evaluation& evaluation);
graft::v1::JobFacts ToProto(const report::JobFacts& facts);
/// Cuts prompt and text to what is told of a sample.
graft::v1::Sample ToProto(const report::Sample& sample);

report::Progress FromProto(const graft::v1::Progress& message);
/// A split's and a metric's name is cut to 64 bytes, and 64 metrics are kept.
report::Evaluation FromProto(const graft::v1::Evaluation& message);
report::JobFacts FromProto(const graft::v1::JobFacts& message);
/// Texts are cut as above, and a reason to 16 bytes.
report::Sample FromProto(const graft::v1::Sample& message);

}  // namespace graft::proto
