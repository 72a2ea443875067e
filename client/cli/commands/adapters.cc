#include <memory>

#include "client/cli/commands/commands.h"
#include "client/cli/figures.h"
#include "client/cli/spec_flags.h"
#include "client/cli/table.h"
#include "common/base/ids.h"

namespace graft::cli {
namespace {

using Stub = graft::v1::AdapterService::Stub;

int64_t NowSeconds() { return SystemClock().Now() / 1'000'000; }

std::string Aliases(const graft::v1::Adapter& adapter) {
  std::string text;
  for (const auto& [alias, number] : adapter.aliases())
    text += (text.empty() ? "" : ", ") + alias + " -> " + std::to_string(number);
  return text;
}

/// The step of the state that the version is; 0 if nobody knows. A test is always of that state.
int64_t KeptStep(const graft::v1::AdapterVersion& version) {
  int64_t step = version.kept_step();
  for (const auto& e : version.evaluations()) {
    if (step == 0 && e.split() == "test") step = e.step();
  }
  return step;
}

/// The first figure of the state that the version is, on this split; empty if that wasn't
/// evaluated.
std::string FigureOn(const graft::v1::AdapterVersion& version, const std::string& split) {
  const int64_t kept = KeptStep(version);
  std::string figure;
  for (const auto& e : version.evaluations()) {
    if (e.split() == split && e.step() == kept && kept > 0)
      figure = FirstFigure(e) + " @ step " + std::to_string(kept);
  }
  return figure;
}

/// "jobs/ID, kept at step 20" for a checkpoint on a job's way.
std::string Origin(const graft::v1::AdapterVersion& version) {
  if (version.job().empty()) return "imported";
  if (version.checkpoint_step() == 0) return version.job();
  return version.job() + ", kept at step " + std::to_string(version.checkpoint_step());
}

int ListAdapters(Context& context) {
  graft::v1::ListAdaptersRequest request;
  request.set_page_size(1000);
  Table table({"ADAPTER", "BASE", "LATEST", "ALIASES", "CREATED"});
  do {
    const auto page =
        context.client->Call(context.client->adapters(), &Stub::ListAdapters, request);
    if (!page.ok()) return Refuse(context, page.status());
    for (const auto& adapter : page->adapters()) {
      if (context.json) PrintJson(context, adapter);
      table.Add({ShortName(adapter.name()), adapter.base(),
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
  list.set_page_size(1000);
  if (context.json) {
    PrintJson(context, *adapter);
  } else {
    context.out << adapter->name() << " on " << adapter->base()
                << (adapter->aliases().empty() ? "" : "; ") << Aliases(*adapter) << "\n";
  }
  Table table({"VERSION", "SHA256", "PARAMETERS", "SIZE", "VALIDATION", "TEST", "CREATED", "FROM"});
  do {
    const auto page = context.client->Call(context.client->adapters(), &Stub::ListVersions, list);
    if (!page.ok()) return Refuse(context, page.status());
    for (const auto& version : page->versions()) {
      if (context.json) PrintJson(context, version);
      table.Add({ShortName(version.name()), version.sha256().substr(0, 12),
                 std::to_string(version.parameters()), Bytes(version.bytes()),
                 FigureOn(version, "validation"), FigureOn(version, "test"),
                 Age(NowSeconds() - version.create_time().seconds()), Origin(version)});
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  if (!context.json) table.Print(context.out);
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

int Evaluate(Context& context, const std::string& name, const SpecFlags& flags) {
  graft::v1::EvaluateVersionRequest request;
  request.set_adapter(name);
  if (const Status set = SetDataset(context, flags, *request.mutable_dataset()); !set.ok())
    return Refuse(context, set);
  const auto answer = context.client->Call(context.client->adapters(), &Stub::EvaluateVersion,
                                           request, context.Timeout(kEvaluateTimeout));
  if (!answer.ok()) return Refuse(context, answer.status());
  if (context.json) {
    PrintJson(context, *answer);
    return kOk;
  }
  const auto& e = answer->evaluation();
  context.out << answer->adapter_version() << " on " << e.examples() << " examples: " << Figures(e)
              << "\n";
  if (answer->labels().empty()) return kOk;
  Table table({"LABEL", "EXAMPLES", "PRECISION", "RECALL", "F1"});
  for (const auto& label : answer->labels()) {
    table.Add({label.label(), std::to_string(label.examples()), Fixed(label.precision(), 4),
               Fixed(label.recall(), 4), Fixed(label.f1(), 4)});
  }
  table.Print(context.out);
  return kOk;
}

}  // namespace

void AddAdapterCommands(Command root, Action& run) {
  root.AddCommand("adapters", "List adapters").OnChosen([&run] { run = ListAdapters; });
  auto name = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  auto alias = std::make_shared<std::string>("live");

  Command show = root.AddCommand("adapter", "Show an adapter with its versions");
  show.Add("name", *name, "Adapter").Required();
  show.OnChosen([&run, name] { run = [name](Context& c) { return ShowAdapter(c, *name); }; });

  Command promote =
      root.AddCommand("promote", "Point an alias (live) at a version, without losing a request");
  promote.Add("name", *name, "Adapter").Required();
  promote.Add("version", *second, "A number, latest, an alias, or sha256:...").Required();
  promote.Add("--alias", *alias, "Which alias").ShowDefault();
  promote.OnChosen([&run, name, second, alias] {
    run = [=](Context& c) {
      graft::v1::SetAliasRequest request;
      request.set_adapter(WithPrefix("adapters/", *name));
      request.set_version(*second);
      request.set_alias(*alias);
      return PrintAdapter(c, c.client->Call(c.client->adapters(), &Stub::SetAlias, request,
                                            c.Timeout(kPromoteTimeout)));
    };
  });

  Command rollback =
      root.AddCommand("rollback", "Point an alias (live) back at what it pointed at before");
  rollback.Add("name", *name, "Adapter").Required();
  rollback.Add("--alias", *alias, "Which alias").ShowDefault();
  rollback.OnChosen([&run, name, alias] {
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
                                            c.Timeout(kPromoteTimeout)));
    };
  });

  auto flags = std::make_shared<SpecFlags>();
  Command evaluate = root.AddCommand("evaluate", "Run a version over a data set");
  evaluate.Add("name", *name, "Adapter, NAME[@VERSION]").Required();
  evaluate.Add("data", flags->train, "A file (uploaded) or a URI").Required();
  AddFormatFlags(evaluate, *flags);
  evaluate.OnChosen(
      [&run, name, flags] { run = [=](Context& c) { return Evaluate(c, *name, *flags); }; });
}

}  // namespace graft::cli
