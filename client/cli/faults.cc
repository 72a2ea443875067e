#include "client/cli/faults.h"

#include "common/base/utf8.h"

namespace graft::cli {
namespace {

/// "dataset.train line 7, column text"; empty if the fault lies nowhere.
std::string Where(const graft::v1::ErrorDetail& fault) {
  std::string where = fault.field();
  if (fault.line() > 0)
    where += (where.empty() ? "line " : " line ") + std::to_string(fault.line());
  if (!fault.column().empty())
    where += (where.empty() ? "column " : ", column ") + OnOneLine(fault.column());
  return where;
}

}  // namespace

void PrintFaults(std::ostream& out, const graft::v1::ErrorInfo& error, const std::string& indent) {
  for (const graft::v1::ErrorDetail& fault : error.details()) {
    const std::string where = Where(fault);
    const bool is_news = !fault.message().empty() && fault.message() != error.message();
    if (!is_news && where.empty()) continue;
    out << indent << where << (is_news && !where.empty() ? ": " : "")
        << (is_news ? OnOneLine(fault.message()) : "")
        << (fault.reason().empty() ? "" : " (" + fault.reason() + ")") << "\n";
  }
  if (error.omitted_details() > 0) out << indent << "and " << error.omitted_details() << " more\n";
}

}  // namespace graft::cli
