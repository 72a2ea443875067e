#pragma once
/// An error's faults as lines for people: one form, whether a call was refused, a job failed or a
/// data set was checked.

#include <ostream>
#include <string>

#include "graft/v1/error.pb.h"

namespace graft::cli {

/// Prints each fault on a line behind `indent`, and how many more there were:
///   dataset.train line 7, column text: no text (EMPTY_TEXT)
/// A fault that only says again what `error.message` says is cut to where it lies.
void PrintFaults(std::ostream& out, const graft::v1::ErrorInfo& error,
                 const std::string& indent = "  ");

}  // namespace graft::cli
