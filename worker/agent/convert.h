#pragma once
/// Engine's plain structs to protobuf messages.

#include "graft/internal/v1/engine.pb.h"
#include "worker/engine/types/types.h"

namespace graft::worker::agent {

graft::v1::ClassifyResponse::Prediction ToProto(const engine::Prediction& prediction,
                                                const std::vector<std::string>& label_names,
                                                bool with_logits);
graft::v1::LabelFigures ToProto(const engine::LabelFigures& figures);

}  // namespace graft::worker::agent
