#include <filesystem>
#include <memory>

#include "client/cli/commands/commands.h"
#include "common/base/file.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace fs = std::filesystem;
namespace {

struct ImportFlags {
  std::string base, adapter, description;
  std::vector<std::string> label_names;
  int max_length = 0;
  bool promote = false;
};

int Export(Context& context, const std::string& name, const fs::path& folder, bool force) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error) && !force) {
    return Refuse(
        context, UsageError(folder.string() + " isn't empty; --force writes into it all the same"));
  }
  client::Client::Files files;
  const auto version = context.client->Export(name, &files);
  if (!version.ok()) return Refuse(context, version.status());
  for (const auto& [file, bytes] : files) {
    // The name comes over the wire: it must stay in the folder.
    if (file.empty() || file == "." || file == ".." || file.find('/') != std::string::npos ||
        file.find('\0') != std::string::npos) {
      return Refuse(context, InvalidArgumentError("the server sent a file with the name " +
                                                  Quoted(file) + "; it wasn't written"));
    }
    if (const Status written = WriteFileDurably(folder / file, bytes); !written.ok())
      return Refuse(context, written);
  }
  if (context.json) {
    PrintJson(context, *version);
  } else {
    context.out << version->name() << " written to " << folder.string() << " (" << files.size()
                << " files)\n";
  }
  return kOk;
}

int Import(Context& context, const fs::path& folder, const ImportFlags& flags) {
  client::Client::Files files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    const auto bytes = ReadFile(it->path());
    if (!bytes.ok()) return Refuse(context, UsageError(bytes.status().message()));
    files[it->path().filename().string()] = *bytes;
  }
  if (error || files.empty()) {
    return Refuse(context, UsageError(folder.string() + " is no folder with files"));
  }
  graft::v1::ImportAdapterRequest::Header header;
  header.set_base(flags.base);
  header.set_adapter(flags.adapter);
  header.set_description(flags.description);
  for (const std::string& name : flags.label_names) header.add_label_names(name);
  header.set_max_length(flags.max_length);
  header.set_promote(flags.promote);
  const auto version = context.client->Import(header, files);
  if (!version.ok()) return Refuse(context, version.status());
  if (context.json) {
    PrintJson(context, *version);
  } else {
    context.out << "imported as " << version->name()
                << (version->base_proved() ? "" : "; base: declared, not proved") << "\n";
  }
  return kOk;
}

}  // namespace

void AddArtifactCommands(CLI::App& app, Action& run) {
  auto name = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  CLI::App* export_command = app.add_subcommand(
      "export", "Write a version's files into a folder that PEFT or AdapterHub reads");
  export_command->add_option("name", *name, "Adapter, NAME[@VERSION]")->required();
  export_command->add_option("folder", *folder, "Where to")->required();
  export_command->add_flag("--force", *force, "Also into a folder that isn't empty");
  export_command->callback([&run, name, folder, force] {
    run = [=](Context& c) { return Export(c, *name, *folder, *force); };
  });

  auto flags = std::make_shared<ImportFlags>();
  CLI::App* import_command =
      app.add_subcommand("import", "Store a PEFT or AdapterHub folder as a version");
  import_command->add_option("folder", *folder, "The folder")->required();
  import_command->add_option("--base", flags->base, "The base it was trained on")->required();
  import_command->add_option("--adapter", flags->adapter, "What to call it")->required();
  import_command->add_option("--label-name", flags->label_names,
                             "Label names in id order, if the folder doesn't say");
  import_command->add_option("--max-length", flags->max_length, "Tokens per text (default 512)");
  import_command->add_option("--description", flags->description, "A sentence about the version");
  import_command->add_flag("--promote", flags->promote, "Make it live");
  import_command->callback(
      [&run, folder, flags] { run = [=](Context& c) { return Import(c, *folder, *flags); }; });
}

}  // namespace graft::cli
