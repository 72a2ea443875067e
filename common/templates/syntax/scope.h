#pragma once
/// The names of one frame while a template is being bound. Thread safety: confined to one parse.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/templates/syntax/ast.h"

namespace graft::templates {

/// A frame's names are known before any of them is bound, for a read in an inner frame may stand in
/// front of the write in this one. So: collect everything of a frame, bind it, then go inside.
/// Source: what jinja2's own pass over a frame's names comes to; tests/common/templates/parity.py
/// compares the two.
class Scope {
 public:
  /// Borrows both. `outer` is null for the template's own frame.
  Scope(const Scope* outer, FrameLayout& layout) : outer_(outer), layout_(layout) {}

  void CollectBlock(const Block& block);
  void CollectReads(const ExpressionPtr& expression);  ///< Null: none.
  void CollectTarget(const Target& target);
  /// Declares the names of a target as parameters.
  void DeclareTarget(const Target& target);
  /// A name whose value whoever enters the frame puts into the slot returned.
  size_t Declare(const std::string& name);

  /// Where a name's value is. Requires: collected, here or outside.
  Reference Find(const std::string& name) const;
  /// The name that the template's surroundings have to give; null if `name` isn't one.
  bool IsFromContext(const std::string& name) const;

 private:
  std::optional<Reference> Look(const std::string& name) const;
  void Read(const std::string& name);
  void Write(const std::string& name);
  void NoteWrite(const std::string& name);
  void CollectStatement(const Statement& statement);
  void CollectIf(const IfStatement& statement);
  /// What a slot of `name` starts with where this frame may not write it before it is read.
  Load Outside(const std::string& name) const;

  const Scope* const outer_;
  FrameLayout& layout_;
  std::map<std::string, size_t> slots_;
  std::set<std::string> written_;
  std::vector<std::string> writes_;  ///< The same names, in the order of their first writes.
};

}  // namespace graft::templates
