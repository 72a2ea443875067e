#pragma once
/// The tables of filters, by what they are applied to. Thread safety: constant.

#include <span>

#include "common/templates/library/native.h"

namespace graft::templates {

std::span<const Native> TextFilters();
std::span<const Native> NumberFilters();
std::span<const Native> SequenceFilters();   ///< Those that give an item, a number or a text.
std::span<const Native> SelectionFilters();  ///< map, select and their like.
std::span<const Native> SortingFilters();

/// What jinja2's filters take as `attribute`: a path with dots, whose whole numbers are indices.
class AttributePath {
 public:
  /// Null or none: the item itself.
  static StatusOr<AttributePath> Of(const Value* attribute);
  /// `fallback` stands for whatever is undefined on the way, unless it is null or none.
  StatusOr<Value> Read(Session& session, const Value& item, const Value* fallback = nullptr) const;

 private:
  std::vector<Value> parts_;
};

/// `value` with its letters lowered if it is a text.
StatusOr<Value> IgnoringCase(Session& session, const Value& value);

}  // namespace graft::templates
