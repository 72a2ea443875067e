#pragma once
/// The flags of submit and estimate as a JobSpec, and those of check and evaluate, which are some
/// of them, as a DatasetSpec. Method fields and hyperparameters go by their proto names, so a new
/// method or field needs no change here.

#include <optional>
#include <string>
#include <vector>

#include "client/cli/context.h"
#include "common/command_line/command_line.h"
#include "graft/v1/job.pb.h"

namespace graft::cli {

struct SpecFlags {
  std::string file;  ///< --spec: JSON of a JobSpec; flags win over it.
  std::string base, adapter, init_from, method;
  std::string train, validation, test, label_column, format;
  std::vector<std::string> text_columns, set, hyperparameters, labels, label_names;
  std::string task;  ///< A kind's name; empty: by the columns, or a file's.
  std::string prompt_column, completion_column, messages_column, tools_column;
  std::string loss_on, chat_template;  ///< The template is a file's path.
  std::vector<std::string> template_variables, samples;
  std::optional<double> validation_fraction, test_fraction;
  bool no_header = false, promote = false;
  std::optional<int> priority;
  std::optional<int64_t> max_examples;
  std::string description;
};

/// What the examples of a language model are to become, --task among it; `flags` must outlive the
/// command.
void AddTaskFlags(command_line::Command command, SpecFlags& flags);

/// Add flags to a command, each all of the one before; `flags` must outlive it. How a file is read:
void AddFormatFlags(command_line::Command command, SpecFlags& flags);
/// And what it is validated and tested on, or how it is split.
void AddDataFlags(command_line::Command command, SpecFlags& flags);
/// And the rest of a job, --train among it.
void AddSpecFlags(command_line::Command command, SpecFlags& flags);

/// Builds the spec; a data set given as a path is uploaded first.
/// Errors: InvalidArgument naming the flag, and what there is, for a wrong method, field or value;
/// as Client::Upload.
StatusOr<graft::v1::JobSpec> BuildSpec(Context& context, const SpecFlags& flags);

/// Sets in `task` what the flags say of it; naming a column, or another thing, that only one kind
/// of task has says that it is that one.
/// Errors: InvalidArgument naming the flag, if there is no such task or value, the flags are of two
/// tasks, or the template's file can't be read.
Status SetTask(const SpecFlags& flags, graft::v1::Task& task);

/// Sets in `data` what the flags say, and uploads what is given as a path. Errors: as
/// Client::Upload.
Status SetDataset(Context& context, const SpecFlags& flags, graft::v1::DatasetSpec& data);

}  // namespace graft::cli
