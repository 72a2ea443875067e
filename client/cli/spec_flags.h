#pragma once
/// The flags of submit, estimate and check as a JobSpec. Method fields and hyperparameters go by
/// their proto names, so a new method or field needs no change here.

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/context.h"
#include "graft/v1/job.pb.h"

namespace graft::cli {

struct SpecFlags {
  std::string file;  ///< --spec: JSON of a JobSpec; flags win over it.
  std::string base, adapter, init_from, method;
  std::string train, validation, test, label_column, format;
  std::vector<std::string> text_columns, set, hyperparameters, labels, label_names;
  double validation_fraction = -1, test_fraction = -1;
  bool no_header = false, promote = false;
  int priority = 0;
  int64_t max_examples = 0;
  std::string description;
};

/// Adds the flags to a command. `flags` must outlive it.
void AddSpecFlags(CLI::App& command, SpecFlags& flags);

/// Builds the spec; a data set given as a path is uploaded first.
/// Errors: InvalidArgument naming the flag, and what there is, for a wrong method, field or value.
StatusOr<graft::v1::JobSpec> BuildSpec(Context& context, const SpecFlags& flags);

/// Uploads `*uri` and replaces it unless it has a scheme. Errors: as Client::Upload.
Status UploadIfPath(Context& context, std::string* uri);

}  // namespace graft::cli
