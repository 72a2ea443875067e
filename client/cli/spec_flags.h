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
  std::optional<double> validation_fraction, test_fraction;
  bool no_header = false, promote = false;
  std::optional<int> priority;
  std::optional<int64_t> max_examples;
  std::string description;
};

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

/// Sets in `data` what the flags say, and uploads what is given as a path. Errors: as
/// Client::Upload.
Status SetDataset(Context& context, const SpecFlags& flags, graft::v1::DatasetSpec& data);

}  // namespace graft::cli
