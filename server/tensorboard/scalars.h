#pragma once
/// A job's events as TensorBoard shows them. Pure.

#include <filesystem>
#include <optional>

#include "server/core/rows.h"
#include "server/tensorboard/event.h"

namespace graft::server::tensorboard {

/// Progress gives train/loss, train/learning_rate, train/grad_norm and train/tokens_per_second, an
/// evaluation eval/SPLIT/loss and eval/SPLIT/METRIC of each of its metrics. Nothing of other
/// events.
std::optional<Event> ScalarsOf(const core::JobEvent& event);

/// What stands behind the scalars of a job that has ended: its last number, and nothing to show.
Event EndOf(const core::Job& job);

/// Where a job's events go: DIR/ADAPTER/JOB/events.out.tfevents.SECONDS.graft, by when it was made.
std::filesystem::path FileOf(const std::filesystem::path& folder, const core::Job& job);

/// As Event has it.
double WallTime(TimeUs time);

}  // namespace graft::server::tensorboard
