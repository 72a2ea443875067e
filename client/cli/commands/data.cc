#include <map>
#include <memory>

#include "client/cli/commands/commands.h"
#include "client/cli/faults.h"
#include "client/cli/spec_flags.h"
#include "client/cli/table.h"
#include "common/base/ids.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

int ListBases(Context& context) {
  graft::v1::ListBasesRequest request;
  request.set_page_size(1000);
  Table table({"BASE", "FAMILY", "PARAMETERS", "LAYERS", "WIDTH", "MAX LENGTH", "FINGERPRINT",
               "RESIDENT ON"});
  const auto page = context.client->Call(context.client->bases(),
                                         &graft::v1::BaseModelService::Stub::ListBases, request);
  if (!page.ok()) return Refuse(context, page.status());
  for (const auto& base : page->bases()) {
    if (context.json) PrintJson(context, base);
    const std::string id = ShortName(base.name());
    if (!base.error().empty()) {
      table.Add({id, "unusable: " + base.error()});
      continue;
    }
    std::string workers;
    for (const auto& worker : base.resident_on()) workers += (workers.empty() ? "" : ", ") + worker;
    table.Add({id, base.family(), std::to_string(base.parameters()),
               std::to_string(base.num_layers()), std::to_string(base.hidden_size()),
               std::to_string(base.max_length()), base.fingerprint().substr(0, 12), workers});
  }
  if (!context.json) table.Print(context.out);
  return kOk;
}

int Upload(Context& context, const std::string& path) {
  const auto dataset = context.client->Upload(path, [&](int64_t sent) {
    if (context.err_terminal && !context.json)
      context.err << "\r\033[K" << Bytes(sent) << std::flush;
  });
  if (context.err_terminal && !context.json) context.err << "\r\033[K";
  if (!dataset.ok()) return Refuse(context, dataset.status());
  if (context.json) {
    PrintJson(context, *dataset);
  } else {
    context.out << dataset->uri() << "\n";
  }
  return kOk;
}

std::string AgeOf(const graft::v1::Dataset& dataset) {
  return Age(SystemClock().Now() / 1'000'000 - dataset.create_time().seconds());
}

int ListDatasets(Context& context) {
  graft::v1::ListDatasetsRequest request;
  request.set_page_size(1000);
  Table table({"DATASET", "FILE", "SIZE", "CREATED"});
  do {
    const auto page = context.client->Call(context.client->datasets(),
                                           &graft::v1::DatasetService::Stub::ListDatasets, request);
    if (!page.ok()) return Refuse(context, page.status());
    for (const auto& dataset : page->datasets()) {
      if (context.json) PrintJson(context, dataset);
      table.Add(
          {ShortName(dataset.name()), dataset.file_name(), Bytes(dataset.bytes()), AgeOf(dataset)});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (!context.json) table.Print(context.out);
  return kOk;
}

/// "datasets/<sha256>", of that, the hash alone or the URI that `graft upload` printed.
std::string DatasetName(std::string name) {
  constexpr std::string_view kUri = "graft://datasets/";
  if (name.starts_with(kUri))
    name = name.substr(kUri.size(), name.find('/', kUri.size()) - kUri.size());
  return WithPrefix("datasets/", name);
}

int ShowDataset(Context& context, const std::string& name) {
  graft::v1::GetDatasetRequest request;
  request.set_name(DatasetName(name));
  const auto dataset = context.client->Call(context.client->datasets(),
                                            &graft::v1::DatasetService::Stub::GetDataset, request);
  if (!dataset.ok()) return Refuse(context, dataset.status());
  if (context.json) {
    PrintJson(context, *dataset);
  } else {
    context.out << dataset->name() << ": " << OnOneLine(dataset->file_name()) << ", "
                << Bytes(dataset->bytes()) << ", " << AgeOf(*dataset) << "\n"
                << "  " << OnOneLine(dataset->uri()) << "\n";
  }
  return kOk;
}

int Check(Context& context, const SpecFlags& flags, int max_length) {
  graft::v1::CheckDatasetRequest request;
  if (const Status set = SetTask(flags, *request.mutable_task()); !set.ok())
    return Refuse(context, set);
  if (request.task().kind_case() == graft::v1::Task::KIND_NOT_SET) request.clear_task();
  request.set_base(flags.base);
  request.set_max_length(max_length);
  if (max_length != 0 && flags.base.empty())
    return Refuse(context, UsageError("--max-length counts tokens; say whose with --base"));
  if (const Status set = SetDataset(context, flags, *request.mutable_dataset()); !set.ok())
    return Refuse(context, set);
  const auto report = context.client->Call(context.client->datasets(),
                                           &graft::v1::DatasetService::Stub::CheckDataset, request,
                                           context.Timeout(kDataTimeout));
  if (!report.ok()) return Refuse(context, report.status());
  if (context.json) {
    PrintJson(context, *report);
    return report->usable() ? kOk : kJobFailed;
  }
  context.out << OnOneLine(report->summary()) << "\n";
  for (const auto& split : report->splits()) {
    context.out << "  " << split.name() << ": " << split.examples() << " examples, "
                << split.min_bytes() << " to " << split.max_bytes() << " bytes, mean "
                << Fixed(split.mean_bytes(), 0) << "\n";
    const std::map<std::string, int64_t> by_name(split.labels().begin(), split.labels().end());
    for (const auto& [label, count] : by_name)
      context.out << "    " << OnOneLine(label) << "  " << count << "\n";
  }
  if (report->train_tokens() > 0) {
    context.out << "  tokens: " << report->train_tokens() << " an epoch, " << report->loss_tokens()
                << " of them to be learned\n";
  }
  for (const auto& warning : report->warnings())
    context.out << "  warning: " << OnOneLine(warning) << "\n";
  graft::v1::ErrorInfo faults;
  *faults.mutable_details() = report->errors();
  faults.set_omitted_details(report->omitted_errors());
  PrintFaults(context.out, faults);
  return report->usable() ? kOk : kJobFailed;
}

}  // namespace

void AddDataCommands(Command root, Action& run) {
  root.AddCommand("bases", "List base models").OnChosen([&run] { run = ListBases; });
  auto path = std::make_shared<std::string>();
  Command upload = root.AddCommand("upload", "Store a file as a data set; prints its URI");
  upload.Add("file", *path, "The file").Required();
  upload.OnChosen([&run, path] { run = [path](Context& c) { return Upload(c, *path); }; });
  root.AddCommand("datasets", "List uploaded data sets").OnChosen([&run] { run = ListDatasets; });
  auto name = std::make_shared<std::string>();
  Command show = root.AddCommand("dataset", "Show an uploaded data set with its URI");
  show.Add("name", *name, "Data set: its SHA-256, or its URI").Required();
  show.OnChosen([&run, name] { run = [name](Context& c) { return ShowDataset(c, *name); }; });
  auto flags = std::make_shared<SpecFlags>();
  Command check = root.AddCommand(
      "check", "Read a data set as a job would, and report on it; exits 1 if it has faults");
  check.Add("data", flags->train, "A file (uploaded) or a URI").Required();
  AddDataFlags(check, *flags);
  AddTaskFlags(check, *flags);
  check.Add("--base", flags->base,
            "For language models: count what this base's tokenizer makes of the data");
  auto max_length = std::make_shared<int>(0);
  check.Add("--max-length", *max_length, "With --base: tokens that an example may have");
  check.OnChosen([&run, flags, max_length] {
    run = [=](Context& c) { return Check(c, *flags, *max_length); };
  });
}

}  // namespace graft::cli
