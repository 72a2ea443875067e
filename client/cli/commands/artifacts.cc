#include <algorithm>
#include <filesystem>
#include <memory>

#include "client/cli/commands/commands.h"
#include "client/cli/export_folder.h"
#include "client/cli/interrupt.h"
#include "common/artifacts/file_names.h"
#include "common/base/file.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxName = 255;  ///< Bytes of a file's name that are sent.

struct ImportFlags {
  std::string base, adapter, description;
  std::vector<std::string> label_names;
  int max_length = 0;
  bool promote = false;
};

void TellWarnings(Context& context, const graft::v1::AdapterVersion& version) {
  for (const std::string& warning : version.warnings())
    context.err << "warning: " << Printable(warning, 1000) << "\n";
}

/// An interrupt meanwhile leaves nothing in the folder; this doesn't return then.
StatusOr<graft::v1::AdapterVersion> Fetch(Context& context, const std::string& name, bool merged,
                                          ExportFolder& files) {
  const TidyOnInterrupt interrupt([&] { files.GiveUp(); });
  GRAFT_ASSIGN_OR_RETURN(
      graft::v1::AdapterVersion version,
      context.client->Export(
          name, merged,
          {.begin = [&] { files.Restart(); },
           .add = [&](const std::string& file,
                      const std::string& bytes) { return files.Add(file, bytes); }}));
  GRAFT_RETURN_IF_ERROR(files.Finish());
  return version;
}

int Export(Context& context, const std::string& name, const fs::path& folder, bool merged,
           bool force) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error) && !force) {
    return Refuse(
        context, UsageError(folder.string() + " isn't empty; --force writes into it all the same"));
  }
  ExportFolder files(folder);
  const auto version = Fetch(context, name, merged, files);
  if (!version.ok()) {
    const int code = Refuse(context, version.status());
    return files.has_failed() ? kNotWritten : code;
  }
  if (context.json) {
    PrintJson(context, *version);
  } else {
    context.out << version->name() << " written to " << folder.string() << " (" << files.num_files()
                << " files)\n";
    TellWarnings(context, *version);
  }
  return kOk;
}

bool HoldsAdapter(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "adapter_config.json", error) ||
         fs::exists(folder / artifacts::kManifestName, error);
}

/// Adds the folders below that hold an adapter: an unpacked archive has its files one folder down,
/// a hub's cache three. Looks no further below one that does.
void FindAdapters(const fs::path& folder, int depth, std::vector<fs::path>& found) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    const std::string name = it->path().filename().string();
    if (!it->is_directory(unreadable) || name.front() == '.' || name == "__MACOSX") continue;
    if (HoldsAdapter(it->path())) {
      // "best" may be a link to one of them.
      const bool known = std::any_of(found.begin(), found.end(), [&](const fs::path& other) {
        return fs::equivalent(other, it->path(), unreadable);
      });
      if (!known) found.push_back(it->path());
    } else if (depth > 1) {
      FindAdapters(it->path(), depth - 1, found);
    }
  }
}

/// The folder itself if it holds an adapter, else the only one below it that does.
StatusOr<fs::path> AdapterFolder(const fs::path& folder) {
  constexpr int kDepth = 3;
  if (HoldsAdapter(folder)) return folder;
  std::vector<fs::path> found;
  FindAdapters(folder, kDepth, found);
  if (found.size() == 1) return found.front();
  if (found.empty()) return folder;
  std::sort(found.begin(), found.end());
  std::string list;
  for (size_t i = 0; i < found.size() && i < 5; ++i)
    list += (i > 0 ? ", " : "") + Printable(found[i].string(), 200);
  return UsageError(Printable(folder.string(), 200) + " holds " + std::to_string(found.size()) +
                    " adapters (" + list + (found.size() > 5 ? ", ..." : "") +
                    "); import one of them");
}

/// Reads a folder's files. Those that no adapter's format reads, such as an optimizer's state, go
/// by their names alone: the server counts them.
StatusOr<client::Client::Files> ReadFolder(const fs::path& folder) {
  client::Client::Files files;
  std::error_code error;
  const bool is_version = fs::exists(folder / artifacts::kManifestName, error);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    const std::string name = it->path().filename().string();
    if (it->is_directory(unreadable)) continue;
    if (!artifacts::MayBeRead(name, is_version)) {
      // A name may be any bytes, and only text can be sent.
      files[Printable(name, kMaxName)];
      continue;
    }
    std::string& bytes = files[name];
    auto read = ReadFile(it->path());
    if (!read.ok()) return UsageError(read.status().message());
    bytes = *std::move(read);
  }
  if (error || files.empty())
    return UsageError(Printable(folder.string(), 200) + " is no folder with files");
  return files;
}

void Tell(Context& context, const graft::v1::AdapterVersion& version) {
  context.out << "imported as " << version.name()
              << (version.base_proved() ? "" : "; base: declared, not proved") << "\n";
  if (const int count = version.files_left_aside_size(); count > 0) {
    context.out << count << (count == 1 ? " file" : " files")
                << " left aside, which no adapter needs:";
    for (int i = 0; i < count && i < 8; ++i)
      context.out << (i > 0 ? ", " : " ") << Printable(version.files_left_aside(i));
    context.out << (count > 8 ? ", ...\n" : "\n");
  }
  TellWarnings(context, version);
}

int Import(Context& context, const fs::path& named, const ImportFlags& flags) {
  const auto folder = AdapterFolder(named);
  if (!folder.ok()) return Refuse(context, folder.status());
  if (*folder != named && !context.json)
    context.err << "the adapter is in " << Printable(folder->string(), 200) << "\n";
  const auto files = ReadFolder(*folder);
  if (!files.ok()) return Refuse(context, files.status());
  graft::v1::ImportAdapterRequest::Header header;
  header.set_base(flags.base);
  header.set_adapter(flags.adapter);
  header.set_description(flags.description);
  for (const std::string& name : flags.label_names) header.add_label_names(name);
  header.set_max_length(flags.max_length);
  header.set_promote(flags.promote);
  const auto version = context.client->Import(header, *files);
  if (!version.ok()) return Refuse(context, version.status());
  if (context.json) {
    PrintJson(context, *version);
  } else {
    Tell(context, *version);
  }
  return kOk;
}

}  // namespace

void AddArtifactCommands(Command root, Action& run) {
  auto name = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false), merged = std::make_shared<bool>(false);
  Command export_command = root.AddCommand(
      "export",
      "Write a version's files into a folder, as PEFT, AdapterHub or transformers has them");
  export_command.Add("name", *name, "Adapter, NAME[@VERSION]").Required();
  export_command.Add("folder", *folder, "Where to").Required();
  export_command.AddFlag("--force", *force, "Also into a folder that isn't empty");
  export_command.AddFlag(
      "--merged", *merged,
      "The base with the adapter in it, as a HuggingFace model; not of a bottleneck");
  export_command.OnChosen([&run, name, folder, merged, force] {
    run = [=](Context& c) { return Export(c, *name, *folder, *merged, *force); };
  });

  auto flags = std::make_shared<ImportFlags>();
  Command import_command =
      root.AddCommand("import", "Store a folder of PEFT's, AdapterHub's or graft's as a version");
  import_command.Add("folder", *folder, "The folder").Required();
  import_command.Add("--base", flags->base, "The base it was trained on").Required();
  import_command.Add("--adapter", flags->adapter, "What to call it").Required();
  import_command.Add("--label-name", flags->label_names,
                     "Label names in id order, if the folder doesn't say");
  import_command.Add("--max-length", flags->max_length,
                     "Tokens per text (default: what the folder says, else 512, or 2048 if it is a "
                     "language model's)");
  import_command.Add("--description", flags->description, "A sentence about the version");
  import_command.AddFlag("--promote", flags->promote, "Make it live");
  import_command.OnChosen(
      [&run, folder, flags] { run = [=](Context& c) { return Import(c, *folder, *flags); }; });
}

}  // namespace graft::cli
