#pragma once
/// Scripts that have a shell complete a program's lines: its commands, each one's options, and the
/// values of options that have known ones. What has none is completed as a file's name. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "common/command_line/description.h"

namespace graft::command_line {

/// The shells that Completions knows: bash, zsh, fish.
std::vector<std::string> Shells();

/// The script for `shell`, to be sourced (zsh: or put into a folder of its fpath as _PROGRAM).
/// Requires: `shell` is one of Shells(); names and values are words without quotes, blanks and
/// dollars, as all that a definition names is.
std::string Completions(const Description& program, std::string_view shell);

}  // namespace graft::command_line
