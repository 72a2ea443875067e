#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "client/cli/commands/commands.h"
#include "client/cli/spec_flags.h"
#include "client/cli/table.h"
#include "common/base/file.h"
#include "common/base/ids.h"

namespace graft::cli {
namespace fs = std::filesystem;
namespace {

using Stub = graft::v1::AdapterService::Stub;

int64_t NowSeconds() { return SystemClock().Now() / 1'000'000; }

std::string Aliases(const graft::v1::Adapter& adapter) {
  std::string text;
  for (const auto& [alias, number] : adapter.aliases())
    text += (text.empty() ? "" : ", ") + alias + " -> " + std::to_string(number);
  return text;
}

int ListAdapters(Context& context) {
  graft::v1::ListAdaptersRequest request;
  request.set_page_size(1000);
  Table table({"ADAPTER", "BASE", "VERSIONS", "ALIASES", "CREATED"});
  do {
    const auto page =
        context.client->Call(context.client->adapters(), &Stub::ListAdapters, request);
    if (!page.ok()) return Refuse(context, page.status());
    for (const auto& adapter : page->adapters()) {
      if (context.json) PrintJson(context, adapter);
      table.Add({adapter.name().substr(adapter.name().rfind('/') + 1), adapter.base(),
                 std::to_string(adapter.latest_version()), Aliases(adapter),
                 Age(NowSeconds() - adapter.create_time().seconds())});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (!context.json) table.Print(context.out);
  return kOk;
}

int ShowAdapter(Context& context, const std::string& name) {
  graft::v1::GetAdapterRequest get;
  get.set_name(WithPrefix("adapters/", name));
  const auto adapter = context.client->Call(context.client->adapters(), &Stub::GetAdapter, get);
  if (!adapter.ok()) return Refuse(context, adapter.status());
  graft::v1::ListVersionsRequest list;
  list.set_adapter(adapter->name());
  list.set_page_size(100);
  const auto versions = context.client->Call(context.client->adapters(), &Stub::ListVersions, list);
  if (!versions.ok()) return Refuse(context, versions.status());
  if (context.json) {
    PrintJson(context, *adapter);
    for (const auto& version : versions->versions()) PrintJson(context, version);
    return kOk;
  }
  context.out << adapter->name() << " on " << adapter->base()
              << (adapter->aliases().empty() ? "" : "; ") << Aliases(*adapter) << "\n";
  Table table({"VERSION", "SHA256", "PARAMETERS", "SIZE", "TEST ACCURACY", "CREATED", "FROM"});
  for (const auto& version : versions->versions()) {
    std::string accuracy;
    for (const auto& e : version.evaluations()) {
      if (e.split() == "test" || accuracy.empty()) accuracy = Fixed(e.accuracy(), 4);
    }
    table.Add({version.name().substr(version.name().rfind('/') + 1), version.sha256().substr(0, 12),
               std::to_string(version.parameters()), Bytes(version.bytes()), accuracy,
               Age(NowSeconds() - version.create_time().seconds()),
               version.job().empty() ? "imported" : version.job()});
  }
  table.Print(context.out);
  return kOk;
}

int PrintAdapter(Context& context, const StatusOr<graft::v1::Adapter>& adapter) {
  if (!adapter.ok()) return Refuse(context, adapter.status());
  if (context.json) {
    PrintJson(context, *adapter);
  } else {
    context.out << adapter->name() << ": " << Aliases(*adapter) << "\n";
  }
  return kOk;
}

int Evaluate(Context& context, const std::string& name, SpecFlags flags) {
  if (const Status uploaded = UploadIfPath(context, &flags.train); !uploaded.ok())
    return Refuse(context, uploaded);
  graft::v1::EvaluateVersionRequest request;
  request.set_adapter(name);
  auto& data = *request.mutable_dataset();
  data.set_train(flags.train);
  for (const std::string& column : flags.text_columns) data.add_text_columns(column);
  if (!flags.label_column.empty()) data.set_label_column(flags.label_column);
  if (!flags.format.empty()) data.set_format(flags.format);
  if (flags.no_header) data.set_has_header(false);
  const auto answer = context.client->Call(context.client->adapters(), &Stub::EvaluateVersion,
                                           request, context.evaluation_timeout);
  if (!answer.ok()) return Refuse(context, answer.status());
  if (context.json) {
    PrintJson(context, *answer);
    return kOk;
  }
  const auto& e = answer->evaluation();
  context.out << answer->adapter_version() << " on " << e.examples() << " examples: accuracy "
              << Fixed(e.accuracy(), 4) << "  macro F1 " << Fixed(e.macro_f1(), 4) << "  loss "
              << Fixed(e.loss(), 4) << "\n";
  Table table({"LABEL", "EXAMPLES", "PRECISION", "RECALL", "F1"});
  for (const auto& label : answer->labels()) {
    table.Add({label.label(), std::to_string(label.examples()), Fixed(label.precision(), 4),
               Fixed(label.recall(), 4), Fixed(label.f1(), 4)});
  }
  table.Print(context.out);
  return kOk;
}

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
      return Refuse(context, InvalidArgumentError("the server sent a file with the name \"" + file +
                                                  "\"; it wasn't written"));
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

int Import(Context& context, const fs::path& folder,
           graft::v1::ImportAdapterRequest::Header header) {
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
  header.set_request_id(NewId(SystemClock().Now()));
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

void AddAdapterCommands(CLI::App& app, Action& run) {
  app.add_subcommand("adapters", "List adapters")->callback([&run] { run = ListAdapters; });
  auto name = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  auto alias = std::make_shared<std::string>("live");

  CLI::App* show = app.add_subcommand("adapter", "Show an adapter with its versions");
  show->add_option("name", *name, "Adapter")->required();
  show->callback([&run, name] { run = [name](Context& c) { return ShowAdapter(c, *name); }; });

  CLI::App* promote =
      app.add_subcommand("promote", "Point an alias (live) at a version, without losing a request");
  promote->add_option("name", *name, "Adapter")->required();
  promote->add_option("version", *second, "A number, latest, an alias, or sha256:...")->required();
  promote->add_option("--alias", *alias, "Which alias")->capture_default_str();
  promote->callback([&run, name, second, alias] {
    run = [=](Context& c) {
      graft::v1::SetAliasRequest request;
      request.set_adapter(WithPrefix("adapters/", *name));
      request.set_version(*second);
      request.set_alias(*alias);
      return PrintAdapter(c, c.client->Call(c.client->adapters(), &Stub::SetAlias, request,
                                            std::chrono::minutes(5)));
    };
  });

  CLI::App* rollback =
      app.add_subcommand("rollback", "Point an alias (live) back at what it pointed at before");
  rollback->add_option("name", *name, "Adapter")->required();
  rollback->add_option("--alias", *alias, "Which alias")->capture_default_str();
  rollback->callback([&run, name, alias] {
    run = [=](Context& c) {
      // With the etag, a call that was repeated because its answer got lost goes back only once.
      graft::v1::GetAdapterRequest read;
      read.set_name(WithPrefix("adapters/", *name));
      const auto adapter = c.client->Call(c.client->adapters(), &Stub::GetAdapter, read);
      if (!adapter.ok()) return Refuse(c, adapter.status());
      graft::v1::RollbackRequest request;
      request.set_adapter(read.name());
      request.set_alias(*alias);
      request.set_etag(adapter->etag());
      return PrintAdapter(c, c.client->Call(c.client->adapters(), &Stub::Rollback, request,
                                            std::chrono::minutes(5)));
    };
  });

  auto flags = std::make_shared<SpecFlags>();
  CLI::App* evaluate = app.add_subcommand("evaluate", "Run a version over a data set");
  evaluate->add_option("name", *name, "Adapter, NAME[@VERSION]")->required();
  evaluate->add_option("data", flags->train, "A file (uploaded) or a URI")->required();
  evaluate->add_option("--text-column", flags->text_columns,
                       "Column with the text; twice for pairs");
  evaluate->add_option("--label-column", flags->label_column, "Column with the label");
  evaluate->add_option("--format", flags->format, "csv, tsv or jsonl");
  evaluate->add_flag("--no-header", flags->no_header,
                     "The file has no header; columns are 1, 2, ...");
  evaluate->callback(
      [&run, name, flags] { run = [=](Context& c) { return Evaluate(c, *name, *flags); }; });

  auto force = std::make_shared<bool>(false);
  CLI::App* export_command = app.add_subcommand(
      "export", "Write a version's files into a folder that PEFT or AdapterHub reads");
  export_command->add_option("name", *name, "Adapter, NAME[@VERSION]")->required();
  export_command->add_option("folder", *second, "Where to")->required();
  export_command->add_flag("--force", *force, "Also into a folder that isn't empty");
  export_command->callback([&run, name, second, force] {
    run = [=](Context& c) { return Export(c, *name, *second, *force); };
  });

  auto header = std::make_shared<graft::v1::ImportAdapterRequest::Header>();
  auto strings = std::make_shared<std::array<std::string, 3>>();
  auto labels = std::make_shared<std::vector<std::string>>();
  auto max_length = std::make_shared<int>(0);
  auto make_live = std::make_shared<bool>(false);
  CLI::App* import_command =
      app.add_subcommand("import", "Store a PEFT or AdapterHub folder as a version");
  import_command->add_option("folder", *second, "The folder")->required();
  import_command->add_option("--base", (*strings)[0], "The base it was trained on")->required();
  import_command->add_option("--adapter", (*strings)[1], "What to call it")->required();
  import_command->add_option("--label-name", *labels,
                             "Label names in id order, if the folder doesn't say");
  import_command->add_option("--max-length", *max_length, "Tokens per text (default 512)");
  import_command->add_flag("--promote", *make_live, "Make it live");
  import_command->callback([&run, second, header, strings, labels, max_length, make_live] {
    run = [=](Context& c) {
      header->set_base((*strings)[0]);
      header->set_adapter((*strings)[1]);
      for (const std::string& label : *labels) header->add_label_names(label);
      header->set_max_length(*max_length);
      header->set_promote(*make_live);
      return Import(c, *second, *header);
    };
  });
}

}  // namespace graft::cli
