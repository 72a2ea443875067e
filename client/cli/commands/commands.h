#pragma once
/// One function a command family: adds its commands to the app. `run` collects what the chosen
/// command does.

#include <functional>

#include <CLI/CLI.hpp>

#include "client/cli/context.h"

namespace graft::cli {

using Action = std::function<int(Context&)>;

/// submit, estimate, jobs, job, watch, cancel, pause, resume, delete
void AddJobCommands(CLI::App& app, Action& run);
/// adapters, adapter, promote, rollback, evaluate
void AddAdapterCommands(CLI::App& app, Action& run);
/// export, import
void AddArtifactCommands(CLI::App& app, Action& run);
/// classify, embed, generate, score
void AddInferenceCommands(CLI::App& app, Action& run);
/// bases, upload, check
void AddDataCommands(CLI::App& app, Action& run);

/// Follows a job on the screen: a progress bar on a terminal, lines elsewhere. Returns kOk,
/// kJobFailed, ...
int WatchJob(Context& context, const std::string& name, int64_t after_event);

}  // namespace graft::cli
