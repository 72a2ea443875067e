#include "client/cli/run.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "client/cli/commands/commands.h"
#include "common/base/utf8.h"

namespace graft::cli {

int Run(std::vector<std::string> arguments, const Environment& environment, std::ostream& out,
        std::ostream& err) {
  Context context{.out = out,
                  .err = err,
                  .terminal = environment.terminal,
                  .json = false,
                  .options = {},
                  .evaluation_timeout = std::chrono::minutes(30),
                  .client = nullptr};
  if (!environment.server.empty()) context.options.server = environment.server;
  context.options.token = environment.token;
  double timeout = 30;

  CLI::App app{
      "graft: finetune adapters on one base model and serve them.\n"
      "Exit codes: 0 ok, 1 the job failed, 2 usage, 3 cannot reach the server, 4 refused."};
  app.name("graft");
  app.set_version_flag("--version", "0.1.0");
  app.require_subcommand(1);
  app.fallthrough();  // --json and the like may stand behind the command too.
  app.add_option("--server", context.options.server, "The server, HOST:PORT (GRAFT_SERVER)")
      ->capture_default_str();
  app.add_option("--token", context.options.token, "Bearer token (GRAFT_TOKEN)");
  const CLI::Option* chosen_timeout =
      app.add_option("--timeout", timeout, "Seconds a call may take; evaluate: 1800")
          ->capture_default_str();
  app.add_flag("--json", context.json, "Print the response messages as JSON, one a line");
  Action run;
  AddJobCommands(app, run);
  AddAdapterCommands(app, run);
  AddInferenceCommands(app, run);
  AddDataCommands(app, run);
  // gRPC itself says nothing useful about such a text.
  std::string not_text;
  for (const std::string& argument : arguments) {
    if (FirstInvalidUtf8(argument) != std::string_view::npos) not_text = Quoted(argument);
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back.
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kOk : kUsage;
  }
  if (!not_text.empty())
    return Refuse(context, UsageError("the argument " + not_text + " isn't UTF-8"));
  context.options.timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout * 1000));
  if (chosen_timeout->count() > 0) context.evaluation_timeout = context.options.timeout;
  auto client = client::Client::Create(context.options);
  if (!client.ok()) return Refuse(context, UsageError(client.status().message()));
  context.client = std::move(*client);
  return run(context);
}

}  // namespace graft::cli
