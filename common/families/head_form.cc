#include "common/families/head_form.h"

#include "common/base/utf8.h"
#include "common/families/activations.h"

namespace graft::families {
namespace {

constexpr std::string_view kPooler = "pooler";
constexpr std::string_view kFirstToken = "first-token";
constexpr std::string_view kNoBias = "/no-bias";
constexpr std::string_view kLinear = "linear";

}  // namespace

HeadForm HeadForm::Default(const Layout& layout) {
  HeadForm form;
  for (const HeadLinear& linear : layout.head) {
    if (linear.in_base) {
      form.pooler = true;
    } else if (&linear != &layout.head.back()) {
      form.hidden.push_back(linear.activation);
    }
  }
  form.bias = layout.head.back().bias;
  return form;
}

StatusOr<HeadForm> HeadForm::Parse(std::string_view text) {
  const auto malformed = [whole = text] {
    return InvalidArgumentError("is " + Quoted(whole) +
                                "; a head is \"pooler\" or \"first-token\", then its hidden "
                                "layers' activations as in \"first-token:tanh\" (at most " +
                                std::to_string(kMaxHiddenLayers) + " of " + ActivationList() +
                                " or linear), then \"/no-bias\" if the last layer has none");
  };
  HeadForm form;
  if (text.ends_with(kNoBias)) {
    form.bias = false;
    text.remove_suffix(kNoBias.size());
  }
  const size_t colon = text.find(':');
  const std::string_view row = text.substr(0, colon);
  if (row != kPooler && row != kFirstToken) return malformed();
  form.pooler = row == kPooler;
  if (colon == std::string_view::npos) return form;
  for (std::string_view rest = text.substr(colon + 1);;) {
    const size_t comma = rest.find(',');
    const std::string_view name = rest.substr(0, comma);
    if (name != kLinear && !IsActivation(name)) return malformed();
    form.hidden.emplace_back(name == kLinear ? "" : name);
    if (form.hidden.size() > kMaxHiddenLayers) return malformed();
    if (form.hidden.back() != form.hidden.front()) {
      return InvalidArgumentError("is " + Quoted(text) +
                                  "; all hidden layers have one activation, as AdapterHub's do");
    }
    if (comma == std::string_view::npos) return form;
    rest.remove_prefix(comma + 1);
  }
}

std::string HeadForm::ToText() const {
  std::string text(pooler ? kPooler : kFirstToken);
  for (size_t i = 0; i < hidden.size(); ++i) {
    text.append(i == 0 ? ":" : ",").append(hidden[i].empty() ? kLinear : hidden[i]);
  }
  return bias ? text : text.append(kNoBias);
}

std::vector<HeadLinear> HeadForm::Linears(const Layout& layout) const {
  if (*this == Default(layout)) return layout.head;
  std::vector<HeadLinear> linears;
  if (pooler) linears.push_back(layout.head.front());
  for (size_t i = 0; i < hidden.size(); ++i) {
    linears.push_back({.path = "head." + std::to_string(i),
                       .in = layout.hidden,
                       .out = layout.hidden,
                       .activation = hidden[i]});
  }
  linears.push_back(layout.head.back());
  linears.back().bias = bias;
  return linears;
}

}  // namespace graft::families
