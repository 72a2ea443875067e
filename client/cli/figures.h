#pragma once
/// An evaluation's figures in words.

#include <string>

#include "graft/v1/job.pb.h"

namespace graft::cli {

/// Its metrics and its loss: "accuracy 0.8750  macro F1 0.8612  loss 0.3412".
std::string Figures(const graft::v1::Evaluation& evaluation);
/// The first of its metrics, "accuracy 0.8750".
std::string FirstFigure(const graft::v1::Evaluation& evaluation);

}  // namespace graft::cli
