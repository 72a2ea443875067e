#include "client/cli/spec_flags.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "client/cli/choices.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using command_line::Option;
using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

std::string FieldNames(const Descriptor& message) {
  std::string names;
  for (int i = 0; i < message.field_count(); ++i)
    names += (i > 0 ? ", " : "") + message.field(i)->name();
  return names;
}

/// As proto names are written.
std::string Lower(const std::string& text) {
  std::string lower = AsciiLower(text);
  std::replace(lower.begin(), lower.end(), '-', '_');
  return lower;
}

/// A field by its name, in any case and with hyphens for underscores.
const FieldDescriptor* FindField(const Descriptor& message, const std::string& name) {
  return message.FindFieldByName(Lower(name));
}

/// The values that a user may give.
std::string ValueNames(const EnumDescriptor& choices) {
  std::string names;
  for (int i = 0; i < choices.value_count(); ++i) {
    if (choices.value(i)->number() == 0) continue;  // X_UNSPECIFIED: the default.
    names += (names.empty() ? "" : ", ") + choices.value(i)->name();
  }
  return names;
}

const EnumValueDescriptor* FindValue(const EnumDescriptor& choices, const std::string& name) {
  for (int i = 0; i < choices.value_count(); ++i) {
    if (Lower(choices.value(i)->name()) == Lower(name)) return choices.value(i);
  }
  return nullptr;
}

/// Writes the enum values of `json`, in any case, as protobuf knows them. What isn't as the message
/// wants it is left for protobuf to say.
Status NameEnums(const Descriptor& message, const std::string& where, Json& json) {
  if (!json.is_object()) return OkStatus();
  for (auto item = json.begin(); item != json.end(); ++item) {
    const FieldDescriptor* field = message.FindFieldByName(item.key());
    if (field == nullptr) field = message.FindFieldByCamelcaseName(item.key());
    if (field == nullptr || field->is_map()) continue;
    if (field->message_type() != nullptr) {
      GRAFT_RETURN_IF_ERROR(NameEnums(*field->message_type(), where, *item));
    } else if (field->enum_type() != nullptr && item->is_string()) {
      const std::string given = item->get<std::string>();
      const EnumValueDescriptor* value = FindValue(*field->enum_type(), given);
      if (value == nullptr) {
        return UsageError(where + ": " + field->name() + " is " + Quoted(given) + "; use one of " +
                          ValueNames(*field->enum_type()));
      }
      *item = value->name();
    }
  }
  return OkStatus();
}

/// Puts "name=value" pairs into a JSON object as the message's fields need them.
StatusOr<Json> ToJson(const std::vector<std::string>& pairs, const Descriptor& message,
                      const std::string& flag) {
  Json json = Json::object();
  for (const std::string& pair : pairs) {
    const std::string shown = flag + " " + Printable(pair, 200);
    const size_t equals = pair.find('=');
    const FieldDescriptor* field = FindField(message, pair.substr(0, equals));
    if (message.field_count() == 0)
      return UsageError(shown + ": the method " + message.name() + " has no fields");
    if (equals == std::string::npos || field == nullptr) {
      return UsageError(shown + ": use NAME=VALUE with one of " + FieldNames(message));
    }
    const std::string& name = field->name();
    if (!field->is_repeated() && json.contains(name))
      return UsageError(shown + ": " + name + " is given twice");
    const std::string value = pair.substr(equals + 1);
    if (field->is_map()) {  // MODULE:NUMBER,...
      std::istringstream items(value);
      for (std::string item; std::getline(items, item, ',');) {
        const size_t colon = item.rfind(':');
        if (colon == std::string::npos)
          return UsageError(shown + ": use " + name + "=MODULE:NUMBER,...");
        const std::string module = item.substr(0, colon);
        if (json[name].contains(module))
          return UsageError(shown + ": " + Quoted(module) + " is given twice");
        json[name][module] = item.substr(colon + 1);
      }
    } else if (field->is_repeated()) {
      std::istringstream items(value);
      for (std::string item; std::getline(items, item, ',');) json[name].push_back(item);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
      if (Lower(value) != "true" && Lower(value) != "false")
        return UsageError(shown + ": use true or false");
      json[name] = Lower(value) == "true";
    } else {
      json[name] = value;  // Protobuf's JSON reads numbers and enums from strings too.
    }
  }
  return json;
}

Status FromJson(Json json, google::protobuf::Message* message, const std::string& flag) {
  GRAFT_RETURN_IF_ERROR(NameEnums(*message->GetDescriptor(), flag, json));
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), message);
  if (status.ok()) return OkStatus();
  return UsageError(flag + ": " + Printable(std::string(status.message()), 500));
}

/// Uploads `*uri` and replaces it unless it has a scheme.
Status UploadIfPath(Context& context, std::string* uri) {
  if (uri->empty() || uri->find("://") != std::string::npos) return OkStatus();
  GRAFT_ASSIGN_OR_RETURN(const graft::v1::Dataset dataset, context.client->Upload(*uri));
  if (!context.json) context.err << "uploaded " << *uri << " (" << Bytes(dataset.bytes()) << ")\n";
  *uri = dataset.uri();
  return OkStatus();
}

/// Puts --method and --set over what `method` holds by a file: of the same method a field that is
/// given wins, of another one nothing stays.
Status SetMethod(Context& context, const SpecFlags& flags, graft::v1::Method& method) {
  const Descriptor& kinds = *graft::v1::Method::descriptor();
  const google::protobuf::Reflection& reflection = *method.GetReflection();
  const FieldDescriptor* of_file =
      reflection.GetOneofFieldDescriptor(method, kinds.FindOneofByName("kind"));
  if (flags.method.empty() && of_file == nullptr) return UsageError("--set needs --method");
  const FieldDescriptor* field = flags.method.empty() ? of_file : FindField(kinds, flags.method);
  if (field == nullptr) {
    return UsageError("--method " + Printable(flags.method) + ": there are " + FieldNames(kinds));
  }
  if (of_file != nullptr && of_file != field && !context.json) {
    context.err << "--method " << field->name() << " takes the place of --spec's "
                << of_file->name() << " and its fields\n";
  }
  GRAFT_ASSIGN_OR_RETURN(const Json fields, ToJson(flags.set, *field->message_type(), "--set"));
  graft::v1::Method given;
  GRAFT_RETURN_IF_ERROR(FromJson(Json{{field->name(), fields}}, &given, "--set"));
  google::protobuf::Message* merged = reflection.MutableMessage(&method, field);
  for (const auto& [name, value] : fields.items())
    merged->GetReflection()->ClearField(merged, field->message_type()->FindFieldByName(name));
  merged->MergeFrom(given.GetReflection()->GetMessage(given, field));
  return OkStatus();
}

}  // namespace

void AddFormatFlags(command_line::Command command, SpecFlags& flags) {
  command.Add("--text-column", flags.text_columns,
              "Column with the text; twice for pairs (default: text)");
  command.Add("--label-column", flags.label_column, "Column with the label (default: label)");
  command.Add(
      "--prompt-column", flags.prompt_column,
      "For language models: column with what comes before --completion-column (default: prompt)");
  command.Add("--completion-column", flags.completion_column,
              "For language models: column with what is to be learned (default: completion)");
  command.Add("--messages-column", flags.messages_column,
              "For language models: column with conversations (default: messages)");
  command.Add("--tools-column", flags.tools_column,
              "For language models: column with a conversation's tools (default: tools)");
  command.Add("--format", flags.format, "csv, tsv, jsonl or json (default: by the file's name)")
      .Offer({"csv", "tsv", "jsonl", "json"});
  command.AddFlag("--no-header", flags.no_header, "The file has no header; columns are 1, 2, ...");
  command.Add("--max-examples", flags.max_examples,
              "Use at most so many examples (of the training data)");
}

void AddDataFlags(command_line::Command command, SpecFlags& flags) {
  AddFormatFlags(command, flags);
  command.Add("--validation", flags.validation, "Validation data: a file or a URI");
  command.Add("--test", flags.test, "Test data: a file or a URI");
  command.Add("--validation-fraction", flags.validation_fraction,
              "Take this part of the training data as validation data");
  command.Add("--test-fraction", flags.test_fraction,
              "Take this part of the training data as test data");
}

void AddSpecFlags(command_line::Command command, SpecFlags& flags) {
  command.Add("--spec", flags.file, "File with a JobSpec in JSON; flags win over it");
  command.Add("--base", flags.base, "Base model; `graft bases` lists them");
  command.Add("--adapter", flags.adapter, "What the result becomes a version of");
  command.Add("--train", flags.train,
              "Training data: a file (uploaded), file://..., graft://datasets/...");
  AddDataFlags(command, flags);
  AddTaskFlags(command, flags);
  command.Add("--sample", flags.samples,
              "For language models: a prompt to continue at each evaluation; up to 8 times");
  command.Add("--label-name", flags.label_names,
              "Label names in id order (default: from the data)");
  command.Add("--method", flags.method, "lora, bottleneck, last_layers or full")
      .Offer(FieldChoices(*graft::v1::Method::descriptor()));
  command.Add("--set", flags.set, "NAME=VALUE: a field of the method, e.g. rank=8");
  command.Add("--hp", flags.hyperparameters, "NAME=VALUE: a hyperparameter, e.g. warmup_ratio=0.1");
  command.Add("--init-from", flags.init_from, "A version to continue, e.g. support@3");
  command.Add("--priority", flags.priority, "-100 to 100; higher runs first");
  command.Add("--label", flags.labels, "KEY=VALUE: a note of your own on the job");
  command.Add("--description", flags.description, "A sentence about the job");
  command.AddFlag("--promote", flags.promote, "Make the new version live when the job succeeds");
  for (const auto& [flag, name] : {std::pair<const char*, const char*>{"--epochs", "epochs"},
                                   {"--max-steps", "max_steps"},
                                   {"--batch-size", "batch_size"},
                                   {"--lr", "learning_rate"},
                                   {"--max-length", "max_length"},
                                   {"--seed", "seed"},
                                   {"--precision", "precision"},
                                   {"--schedule", "lr_schedule"}}) {
    Option option = command.AddFunction(
        flag,
        [&flags, name = std::string(name)](const std::string& value) {
          flags.hyperparameters.push_back(name + "=" + value);
        },
        std::string("Hyperparameter ") + name);
    const FieldDescriptor* field = graft::v1::Hyperparameters::descriptor()->FindFieldByName(name);
    if (field->enum_type() != nullptr) option.Offer(ValueChoices(*field->enum_type()));
  }
}

StatusOr<graft::v1::JobSpec> BuildSpec(Context& context, const SpecFlags& flags) {
  graft::v1::JobSpec spec;
  if (!flags.file.empty()) {
    std::ifstream file(flags.file);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return UsageError("--spec " + flags.file + " can't be read");
    GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text.str(), flags.file));
    GRAFT_RETURN_IF_ERROR(FromJson(json, &spec, "--spec " + flags.file));
  }
  if (!flags.base.empty()) spec.set_base(flags.base);
  if (!flags.adapter.empty()) spec.set_adapter(flags.adapter);
  if (!flags.init_from.empty()) spec.set_init_from(flags.init_from);
  if (!flags.description.empty()) spec.set_description(flags.description);
  if (flags.priority) spec.set_priority(*flags.priority);
  if (flags.promote) spec.set_promote(true);
  GRAFT_RETURN_IF_ERROR(SetTask(flags, *spec.mutable_task()));
  if (spec.task().kind_case() == graft::v1::Task::KIND_NOT_SET) spec.clear_task();
  std::set<std::string> keys;
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos)
      return UsageError("--label " + Printable(label) + ": use KEY=VALUE");
    const std::string key = label.substr(0, equals);
    if (!keys.insert(key).second)
      return UsageError("--label " + Printable(label) + ": " + Quoted(key) + " is given twice");
    (*spec.mutable_labels())[key] = label.substr(equals + 1);
  }
  if (!flags.method.empty() || !flags.set.empty())
    GRAFT_RETURN_IF_ERROR(SetMethod(context, flags, *spec.mutable_method()));
  GRAFT_ASSIGN_OR_RETURN(
      const Json hyperparameters,
      ToJson(flags.hyperparameters, *graft::v1::Hyperparameters::descriptor(), "hyperparameter"));
  graft::v1::Hyperparameters given;
  GRAFT_RETURN_IF_ERROR(FromJson(hyperparameters, &given, "hyperparameters"));
  spec.mutable_hyperparameters()->MergeFrom(given);
  GRAFT_RETURN_IF_ERROR(SetDataset(context, flags, *spec.mutable_dataset()));
  return spec;
}

Status SetDataset(Context& context, const SpecFlags& flags, graft::v1::DatasetSpec& data) {
  if (!flags.train.empty()) data.set_train(flags.train);
  if (!flags.validation.empty()) data.set_validation(flags.validation);
  if (!flags.test.empty()) data.set_test(flags.test);
  if (flags.validation_fraction) data.set_validation_fraction(*flags.validation_fraction);
  if (flags.test_fraction) data.set_test_fraction(*flags.test_fraction);
  if (!flags.text_columns.empty()) data.clear_text_columns();
  for (const std::string& column : flags.text_columns) data.add_text_columns(column);
  if (!flags.label_column.empty()) data.set_label_column(flags.label_column);
  if (!flags.prompt_column.empty()) data.set_prompt_column(flags.prompt_column);
  if (!flags.completion_column.empty()) data.set_completion_column(flags.completion_column);
  if (!flags.messages_column.empty()) data.set_messages_column(flags.messages_column);
  if (!flags.tools_column.empty()) data.set_tools_column(flags.tools_column);
  if (!flags.format.empty()) data.set_format(flags.format);
  if (flags.no_header) data.set_has_header(false);
  if (flags.max_examples) data.set_max_examples(*flags.max_examples);
  for (std::string* uri : {data.mutable_train(), data.mutable_validation(), data.mutable_test()}) {
    GRAFT_RETURN_IF_ERROR(UploadIfPath(context, uri));
  }
  return OkStatus();
}

}  // namespace graft::cli
