#include "client/cli/run.h"

#include <algorithm>

#include "client/cli/commands/commands.h"
#include "common/base/utf8.h"
#include "common/command_line/command_line.h"

namespace graft::cli {
namespace {

using std::chrono::milliseconds;

std::string TimeoutHelp(const client::ClientOptions& options) {
  const auto seconds = [](milliseconds time) { return std::to_string(time.count() / 1000); };
  return "Seconds a call may take (default: " + seconds(options.timeout) +
         "; promote and rollback " + seconds(kPromoteTimeout) +
         "; check, estimate and submit --check-only " + seconds(kDataTimeout) + "; evaluate " +
         seconds(kEvaluateTimeout) + "; upload, import, export, generate and chat " +
         seconds(options.stream_timeout) + ")";
}

/// Sets what --timeout was given; without it each command has its own.
Status SetTimeout(Context& context, double seconds) {
  if (!(seconds >= 0.001 && seconds <= 1e6))
    return UsageError("--timeout must be at least 0.001 and at most 1000000 seconds");
  context.chosen_timeout = milliseconds(static_cast<int64_t>(seconds * 1000));
  context.options.timeout = context.options.stream_timeout = *context.chosen_timeout;
  return OkStatus();
}

/// What --traceparent or TRACEPARENT names; a variable that is malformed is left aside, as the
/// standard wants it.
Status SetTrace(Context& context, const std::string& traceparent, bool is_flag,
                const Environment& environment) {
  context.options.trace =
      tracing::ParseTraceparent(traceparent, is_flag ? std::string() : environment.tracestate);
  if (traceparent.empty() || context.options.trace.valid()) return OkStatus();
  const std::string why = Quoted(traceparent) +
                          " is no traceparent like "
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  if (is_flag) return UsageError("--traceparent: " + why);
  context.err << "graft: TRACEPARENT is left aside: " << why << "\n";
  return OkStatus();
}

void AddCommands(Command root, Action& run, ScriptFlags& scripts) {
  AddJobCommands(root, run);
  AddAdapterCommands(root, run);
  AddArtifactCommands(root, run);
  AddInferenceCommands(root, run);
  AddTextCommands(root, run);
  AddDataCommands(root, run);
  AddTopCommand(root, run);
  AddScriptCommands(root, scripts);
}

int RunLine(std::vector<std::string> arguments, const Environment& environment, std::ostream& out,
            std::ostream& err) {
  Context context{.out = out,
                  .err = err,
                  .terminal = environment.terminal,
                  .err_terminal = environment.err_terminal,
                  .in_terminal = environment.in_terminal,
                  .json = false,
                  .options = {},
                  .chosen_timeout = {},
                  .client = nullptr};
  if (!environment.server.empty()) context.options.server = environment.server;
  context.options.token = environment.token;
  std::string traceparent = environment.traceparent;
  double timeout = 0;

  command_line::CommandLine line("graft", "0.1.0",
                                 "graft: finetune adapters on one base model and serve them.\n"
                                 "Exit codes: 0 ok, 1 the job failed, 2 usage, 3 cannot reach the "
                                 "server, 4 refused, 5 the answer could not be written.");
  line.RequireCommand();
  Command root = line.root();
  root.Add("--server", context.options.server, "The server, HOST:PORT (GRAFT_SERVER)")
      .ShowDefault();
  root.Add("--token", context.options.token, "Bearer token (GRAFT_TOKEN)");
  const Option chosen_trace =
      root.Add("--traceparent", traceparent,
               "Of a trace that the call is to be in, as W3C Trace Context has it (TRACEPARENT)");
  const Option chosen_timeout = root.Add("--timeout", timeout, TimeoutHelp(context.options));
  root.AddFlag("--json", context.json, "Print the response messages as JSON, one a line");
  Action run;
  ScriptFlags scripts;
  AddCommands(root, run, scripts);
  // gRPC itself says nothing useful about such a text.
  std::string not_text;
  for (const std::string& argument : arguments) {
    if (FirstInvalidUtf8(argument) != std::string_view::npos) not_text = Quoted(argument);
  }
  // Where parsing fails, it may not have come to --json yet.
  const auto texts = std::find(arguments.begin(), arguments.end(), "--");
  const bool json = std::find(arguments.begin(), texts, "--json") != texts;
  if (const auto answer = line.Parse(std::move(arguments))) {
    context.json = json;
    if (answer->is_fault && json) return Refuse(context, UsageError(answer->message));
    (answer->is_fault ? err : out) << answer->text;
    return answer->is_fault ? kUsage : kOk;
  }
  // Before all that may be wrong: a shell that starts needs its script.
  if (const std::string script = ScriptText(line, scripts); !script.empty()) {
    out << script;
    return kOk;
  }
  if (!not_text.empty())
    return Refuse(context, UsageError("the argument " + not_text + " isn't UTF-8"));
  if (chosen_timeout.is_given()) {
    if (const Status set = SetTimeout(context, timeout); !set.ok()) return Refuse(context, set);
  }
  if (const Status named = SetTrace(context, traceparent, chosen_trace.is_given(), environment);
      !named.ok())
    return Refuse(context, named);
  auto client = client::Client::Create(context.options);
  if (!client.ok()) return Refuse(context, UsageError(client.status().message()));
  context.client = std::move(*client);
  return run(context);
}

}  // namespace

int Run(std::vector<std::string> arguments, const Environment& environment, std::ostream& out,
        std::ostream& err) {
  const int code = RunLine(std::move(arguments), environment, out, err);
  if (out.flush()) return code;
  err << "graft: not all of the answer could be written; is the disk full, or what read it gone?\n";
  return code == kOk ? kNotWritten : code;
}

}  // namespace graft::cli
