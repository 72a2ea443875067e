#pragma once
/// One function a command family: adds its commands to the root. `run` collects what the chosen
/// command does.

#include <functional>

#include "client/cli/context.h"
#include "common/command_line/command_line.h"

namespace graft::cli {

using command_line::Command;
using command_line::Option;
using Action = std::function<int(Context&)>;

/// submit, estimate, jobs, job, watch, cancel, pause, resume, delete
void AddJobCommands(Command root, Action& run);
/// adapters, adapter, promote, rollback, evaluate
void AddAdapterCommands(Command root, Action& run);
/// export, import
void AddArtifactCommands(Command root, Action& run);
/// classify, embed
void AddInferenceCommands(Command root, Action& run);
/// generate, chat, score
void AddTextCommands(Command root, Action& run);
/// bases, upload, datasets, dataset, check
void AddDataCommands(Command root, Action& run);

/// top
void AddTopCommand(Command root, Action& run);

/// What the commands completions and man ask for.
struct ScriptFlags {
  std::string shell;
  bool wants_manual = false;
};
/// completions, man: they ask no server. `flags` must outlive the command line.
void AddScriptCommands(Command root, ScriptFlags& flags);
/// The text that was asked for; empty if none was.
std::string ScriptText(const command_line::CommandLine& line, const ScriptFlags& flags);

/// Follows a job on the screen: a progress bar on a terminal, lines elsewhere. Returns kOk,
/// kJobFailed, ...
int WatchJob(Context& context, const std::string& name, int64_t after_event);

}  // namespace graft::cli
