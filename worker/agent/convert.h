#pragma once
/// Between the engine's plain structs and protobuf messages.

#include "graft/internal/v1/coordinator.pb.h"
#include "graft/internal/v1/engine.pb.h"
#include "worker/engine/engine.h"
#include "worker/engine/types/types.h"

namespace graft::worker::agent {

graft::v1::ClassifyResponse::Prediction ToProto(const engine::Prediction& prediction,
                                                const std::vector<std::string>& label_names,
                                                bool with_logits);
graft::v1::LabelFigures ToProto(const engine::LabelFigures& figures);
/// Adds a piece to those before it of its sequence. Requires: `response` is empty or that
/// sequence's.
void AppendTo(engine::GeneratedPiece piece, graft::internal::v1::EngineGenerateResponse& response);
graft::v1::ScoreResponse::Score ToProto(const engine::TextScore& score);

/// The engine's memory as the server is told of it. Thread-safe.
graft::internal::v1::JobMemory TellMemory(const engine::Engine& engine);

/// Field by field; the engine checks them.
engine::generation::GenerationSettings FromProto(const graft::v1::GenerationSettings& settings);

}  // namespace graft::worker::agent
