#pragma once
/// A program's manual page. Pure.

#include <string>

#include "common/command_line/description.h"

namespace graft::command_line {

/// The page in section 1, in man(7)'s macros: what stands in --help, of all commands.
/// Source: man(7), groff_char(7).
std::string ManPage(const Description& program);

}  // namespace graft::command_line
