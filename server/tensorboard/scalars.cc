#include "server/tensorboard/scalars.h"

#include <string>

namespace graft::server::tensorboard {

double WallTime(TimeUs time) { return static_cast<double>(time) / 1e6; }

std::optional<Event> ScalarsOf(const core::JobEvent& event) {
  Event shown{.wall_time = WallTime(event.time), .step = 0, .scalars = {}, .number = event.number};
  if (event.kind == core::EventKind::kProgress) {
    const core::Progress& progress = event.progress;
    shown.step = progress.step;
    shown.scalars = {{"train/loss", progress.loss},
                     {"train/learning_rate", progress.learning_rate},
                     {"train/grad_norm", progress.grad_norm},
                     {"train/tokens_per_second", progress.tokens_per_second}};
    return shown;
  }
  if (event.kind != core::EventKind::kEvaluation) return std::nullopt;
  const core::Evaluation& evaluation = event.evaluation;
  const std::string begin = "eval/" + evaluation.split + "/";
  shown.step = evaluation.step;
  shown.scalars = {{begin + "loss", evaluation.loss}};
  for (const auto& [name, value] : evaluation.metrics)
    shown.scalars.push_back({begin + name, value});
  return shown;
}

Event EndOf(const core::Job& job) {
  return {.wall_time = WallTime(job.end_time),
          .step = job.progress.step,
          .scalars = {},
          .number = job.num_events};
}

std::filesystem::path FileOf(const std::filesystem::path& folder, const core::Job& job) {
  return folder / job.adapter / job.key.id /
         ("events.out.tfevents." + std::to_string(job.create_time / 1'000'000) + ".graft");
}

}  // namespace graft::server::tensorboard
