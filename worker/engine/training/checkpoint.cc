#include "worker/engine/training/checkpoint.h"

#include "common/base/json.h"
#include "common/safetensors/safetensors.h"
#include "worker/engine/artifacts/evaluation_json.h"
#include "worker/engine/device/convert.h"

namespace graft::worker::engine {
namespace {

constexpr const char* kKey = "graft.checkpoint.v2";

Json WithLabels(const Evaluation& e) {
  Json json = EvaluationJson(e);
  json["labels"] = Json::array();
  for (const LabelFigures& l : e.labels)
    json["labels"].push_back({l.label, l.examples, l.precision, l.recall, l.f1});
  return json;
}

Evaluation ReadWithLabels(Json json) {
  Evaluation e;
  for (const Json& l : json.at("labels"))
    e.labels.push_back({l.at(0), l.at(1), l.at(2), l.at(3), l.at(4)});
  json.erase("labels");
  static_cast<report::Evaluation&>(e) = ReadEvaluation(json);
  return e;
}

}  // namespace

std::string SerializeCheckpoint(const CheckpointState& state) {
  const Counters& c = state.counters;
  Json evaluations = Json::array();
  for (const Evaluation& evaluation : state.evaluations)
    evaluations.push_back(WithLabels(evaluation));
  const Json counters = {{"step", c.step},
                         {"tokens", c.tokens},
                         {"splits", c.splits},
                         {"stopped_early", c.stopped_early},
                         {"evaluations_without_best", c.evaluations_without_best},
                         {"best_step", c.best_step},
                         {"best_loss", c.best_loss},
                         {"seconds", c.seconds},
                         {"evaluations", evaluations},
                         {"base_fingerprint", state.identity.base_fingerprint},
                         {"tokenizer", state.identity.tokenizer},
                         {"precision", state.identity.precision}};
  std::vector<at::Tensor> hosts;
  std::vector<safetensors::TensorToWrite> tensors;
  const auto add = [&](const char* name, const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    hosts.push_back(tensor.detach().to(at::kCPU).contiguous());
    tensors.push_back(
        {name,
         safetensors::DType::kF32,
         {hosts.back().numel()},
         {static_cast<const char*>(hosts.back().const_data_ptr()), hosts.back().nbytes()}});
  };
  add("parameters", state.parameters_P);
  add("exp_avg", state.exp_avg_P);
  add("exp_avg_sq", state.exp_avg_sq_P);
  add("best", state.best_P);
  // Names and sizes are our own, so writing can't fail.
  return safetensors::Write(std::move(tensors), {{kKey, counters.dump()}}).value();
}

namespace {

StatusOr<Json> ReadCounters(const safetensors::View& view) {
  const auto metadata = view.metadata().find(kKey);
  if (metadata == view.metadata().end()) return DataLossError("the checkpoint has no counters");
  return ParseJson(metadata->second, "checkpoint");
}

Status Malformed(const Json::exception& error) {
  return DataLossError(std::string("the checkpoint's counters are malformed: ") + error.what());
}

StatusOr<RunIdentity> IdentityOf(const Json& counters) {
  try {
    return RunIdentity{counters.at("base_fingerprint"), counters.at("tokenizer"),
                       counters.at("precision")};
  } catch (const Json::exception& error) {
    return Malformed(error);
  }
}

StatusOr<CheckpointState> Parse(const std::string& bytes) {
  GRAFT_ASSIGN_OR_RETURN(const safetensors::View view,
                         safetensors::View::Parse(bytes, "checkpoint"));
  GRAFT_ASSIGN_OR_RETURN(const Json counters, ReadCounters(view));
  CheckpointState state;
  GRAFT_ASSIGN_OR_RETURN(state.identity, IdentityOf(counters));
  try {
    Counters& c = state.counters;
    c.step = counters.at("step");
    c.tokens = counters.at("tokens");
    c.splits = counters.at("splits");
    c.stopped_early = counters.at("stopped_early");
    c.evaluations_without_best = counters.at("evaluations_without_best");
    c.best_step = counters.at("best_step");
    c.best_loss = counters.at("best_loss");
    c.seconds = counters.at("seconds");
    for (const Json& evaluation : counters.at("evaluations"))
      state.evaluations.push_back(ReadWithLabels(evaluation));
  } catch (const Json::exception& error) {
    return Malformed(error);
  }
  for (const safetensors::TensorView& tensor : view.tensors()) {
    at::Tensor* target = tensor.name == "parameters"   ? &state.parameters_P
                         : tensor.name == "exp_avg"    ? &state.exp_avg_P
                         : tensor.name == "exp_avg_sq" ? &state.exp_avg_sq_P
                         : tensor.name == "best"       ? &state.best_P
                                                       : nullptr;
    if (target == nullptr) return DataLossError("the checkpoint holds an unknown tensor");
    GRAFT_ASSIGN_OR_RETURN(*target,
                           BytesToFloat(safetensors::DTypeName(tensor.dtype),
                                        {tensor.shape.begin(), tensor.shape.end()}, tensor.data));
  }
  if (!state.parameters_P.defined() || !state.exp_avg_P.defined() ||
      !state.exp_avg_sq_P.defined()) {
    return DataLossError("the checkpoint lacks a tensor");
  }
  const Counters& c = state.counters;
  if (c.step < 0 || c.tokens < 0 || c.splits < 1 || c.best_step > c.step ||
      c.evaluations_without_best < 0) {
    return DataLossError("the checkpoint's counters contradict each other");
  }
  return state;
}

/// Only graft writes checkpoints: whatever is wrong with one happened to it since, and isn't the
/// job's fault.
template <typename T>
StatusOr<T> OrDataLoss(StatusOr<T> result) {
  if (result.ok() || result.status().code() == StatusCode::kDataLoss) return result;
  return DataLossError("the checkpoint is broken: " + std::string(result.status().message()));
}

}  // namespace

StatusOr<CheckpointState> ParseCheckpoint(const std::string& bytes) {
  return OrDataLoss(Parse(bytes));
}

StatusOr<RunIdentity> ReadRunIdentity(const std::string& bytes) {
  const auto read = [&]() -> StatusOr<RunIdentity> {
    GRAFT_ASSIGN_OR_RETURN(const safetensors::View view,
                           safetensors::View::Parse(bytes, "checkpoint"));
    GRAFT_ASSIGN_OR_RETURN(const Json counters, ReadCounters(view));
    return IdentityOf(counters);
  };
  return OrDataLoss(read());
}

}  // namespace graft::worker::engine
