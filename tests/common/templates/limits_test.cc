/// Every limit is met with an error, soon, whatever the template does to get past it.
#include <gmock/gmock.h>

#include <chrono>

#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

using testing::HasSubstr;

std::string Repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

void ExpectLimit(const std::string& source, const std::string& part, const Limits& limits = {},
                 const OrderedJson& variables = OrderedJson::object()) {
  const Status status = Render(source, variables, limits).status();
  ASSERT_FALSE(status.ok()) << source.substr(0, 200);
  EXPECT_EQ(ReasonOf(status), "TEMPLATE_LIMIT") << status;
  EXPECT_THAT(status.message(), HasSubstr(part)) << source.substr(0, 200);
}

TEST(TemplateLimitsTest, ATemplateOfTooManyBytesIsNotParsed) {
  const Limits limits{.max_template_bytes = 10};

  EXPECT_TRUE(ChatTemplate::Parse("0123456789", limits).ok());
  EXPECT_THAT(ChatTemplate::Parse("01234567890", limits).status().message(),
              HasSubstr("11 bytes, the limit is 10"));
}

TEST(TemplateLimitsTest, NestingIsBoundedInEveryWayThatATemplateNests) {
  const std::pair<std::string, std::string> pairs[] = {
      {"{{ " + Repeated("(", 5000) + "1", Repeated(")", 5000) + " }}"},
      {"{{ " + Repeated("[", 5000), Repeated("]", 5000) + " }}"},
      {"{{ " + Repeated("{1:", 5000) + "1", Repeated("}", 5000) + " }}"},
      {"{{ " + Repeated("x(", 5000), Repeated(")", 5000) + " }}"},
      {"{{ " + Repeated("x[", 5000) + "1", Repeated("]", 5000) + " }}"},
      {"{{ " + Repeated("not ", 5000) + "1", " }}"},
      {"{{ " + Repeated("-", 5000) + "1", " }}"},
      {"{{ 1" + Repeated(" + 1", 5000), " }}"},
      {"{{ 1" + Repeated(" ** 1", 5000), " }}"},
      {"{{ x" + Repeated(".a", 5000), " }}"},
      {"{{ x" + Repeated("|string", 5000), " }}"},
      {"{{ 1" + Repeated(" if 1 else 1", 5000), " }}"},
      {"{{ 1" + Repeated(" or 1", 5000), " }}"},
      {Repeated("{% if 1 %}", 5000), Repeated("{% endif %}", 5000)},
      {Repeated("{% for x in y %}", 5000), Repeated("{% endfor %}", 5000)},
      {Repeated("{% macro m() %}", 5000), Repeated("{% endmacro %}", 5000)},
      {Repeated("{% set x %}", 5000), Repeated("{% endset %}", 5000)},
      {Repeated("{% generation %}", 5000), Repeated("{% endgeneration %}", 5000)},
  };
  for (const auto& [open, close] : pairs) {
    const Status status = ChatTemplate::Parse(open + close).status();
    EXPECT_THAT(status.message(), HasSubstr("deeper than 200 levels")) << open.substr(0, 40);
  }
}

TEST(TemplateLimitsTest, WhatIsAsDeepAsTheLimitParses) {
  EXPECT_TRUE(Render("{{ " + Repeated("(", 90) + "1" + Repeated(")", 90) + " }}").ok());
  EXPECT_TRUE(Render("{{ 1" + Repeated(" + 1", 190) + " }}").ok());
  EXPECT_TRUE(Render(Repeated("{% if 1 %}", 190) + Repeated("{% endif %}", 190)).ok());
  EXPECT_TRUE(Render("{% if 0 %}" + Repeated("{% elif 0 %}", 5000) + "{% endif %}").ok());
}

TEST(TemplateLimitsTest, MacrosThatCallThemselvesEnd) {
  ExpectLimit("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels");
  ExpectLimit("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
              "levels");
  EXPECT_EQ(MustRender("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% else %}x{% endif %}{% endmacro "
                       "%}{{ m(60) }}"),
            "x");
}

TEST(TemplateLimitsTest, StepsAreBounded) {
  const std::string loop = "{% for x in range(1000) %}";
  ExpectLimit(loop + loop + loop + "{{ x }}" + Repeated("{% endfor %}", 3), "steps",
              {.max_steps = 100'000});
  ExpectLimit(loop + loop + loop + Repeated("{% endfor %}", 3), "steps", {.max_steps = 100'000});
  ExpectLimit(loop + "{% if (range(1000) | list) == (range(1000) | list) %}{% endif %}{% endfor %}",
              "steps", {.max_steps = 1'000'000});
}

TEST(TemplateLimitsTest, OutputIsBounded) {
  ExpectLimit("{% for x in range(100) %}0123456789{% endfor %}", "writes more than 999 bytes",
              {.max_output_bytes = 999});
  EXPECT_TRUE(Render("{% for x in range(100) %}0123456789{% endfor %}", OrderedJson::object(),
                     {.max_output_bytes = 1000})
                  .ok());
}

TEST(TemplateLimitsTest, ValuesAreBounded) {
  const std::string doubling = "{% set ns = namespace(s='0123456789') %}{% for x in range(60) %}";
  const Limits limits{.max_value_bytes = size_t{1} << 18};
  const std::string part = "values of more than 262144 bytes";
  ExpectLimit(doubling + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = ns.s | replace('0', ns.s) %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = ns.s.replace('', ns.s) %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = ns.s.join([ns.s, ns.s]) %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = [ns.s, ns.s] | tojson %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s = [ns.s, ns.s] | string %}{% endfor %}", part, limits);
  ExpectLimit(doubling + "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}", part,
              limits);
  ExpectLimit("{{ ('x' * 1000000000000) | length }}", part, limits);
  ExpectLimit("{{ ([0] * 1000000000) | length }}", "", limits);
  ExpectLimit("{{ ('a\\nb' | indent(1000000000)) | length }}", part, limits);
  ExpectLimit("{{ [1] | batch(1000000000, 0) | list | length }}", "", limits);
  ExpectLimit("{{ [1] | tojson(indent=1000000000) | length }}", part, limits);
  ExpectLimit("{{ x | list | length }}", part, limits, {{"x", std::string(100'000, 'a')}});
  ExpectLimit("{{ x.split() | length }}", part, limits, {{"x", Repeated("a ", 50'000)}});
  ExpectLimit(
      "{% set ns = namespace(l=[1]) %}{% for x in range(60) %}{% set ns.l = ns.l + ns.l %}"
      "{% endfor %}",
      part, limits);
}

TEST(TemplateLimitsTest, WhatIsDroppedCountsNoLonger) {
  const Limits limits{.max_value_bytes = size_t{1} << 16};
  EXPECT_TRUE(Render("{% for x in range(1000) %}{% set y = 'x' * 10000 %}{% endfor %}",
                     OrderedJson::object(), limits)
                  .ok());
}

TEST(TemplateLimitsTest, RangesHaveJinja2sLimit) {
  EXPECT_EQ(MustRender("{{ range(100000) | length }}"), "100000");
  ExpectLimit("{{ range(100001) | length }}", "100000 numbers");
  ExpectLimit("{{ range(0, 10 ** 18, 1) }}", "100000 numbers");
  ExpectLimit("{{ range(-10 ** 18, 9 * 10 ** 18, 7) }}", "100000 numbers");
}

TEST(TemplateLimitsTest, ListsAndDictsInsideEachOtherAreBounded) {
  const std::string loop = "{% set ns = namespace(v=[]) %}{% for x in range(1000) %}";
  ExpectLimit(loop + "{% set ns.v = [ns.v] %}{% endfor %}", "deeper than 100 levels");
  ExpectLimit(loop + "{% set ns.v = {'v': ns.v} %}{% endfor %}", "deeper than 100 levels");
  ExpectLimit(loop + "{% set ns.v = (ns.v, 1) %}{% endfor %}", "deeper than 100 levels");
  ExpectLimit(loop + "{% set ns.v = [ns.v].index %}{% endfor %}", "deeper than 100 levels");
  ExpectLimit(loop + "{% set ns.v = [ns.v] | select %}{% endfor %}", "deeper than 100 levels");
  OrderedJson deep = 1;
  for (int i = 0; i < 200; ++i) deep = OrderedJson::array({deep});
  EXPECT_FALSE(Render("{{ x }}", {{"x", deep}}).ok());
}

TEST(TemplateLimitsTest, ValuesThatShareTheirPartsArePrintedOnlyAsFarAsTheLimitsGo) {
  const std::string shared =
      "{% set ns = namespace(v=[1]) %}{% for x in range(60) %}{% set ns.v = [ns.v, ns.v] %}"
      "{% endfor %}";
  const Limits limits{.max_steps = 200'000};
  ExpectLimit(shared + "{{ ns.v }}", "steps", limits);
  ExpectLimit(shared + "{{ ns.v | tojson }}", "steps", limits);
  ExpectLimit(shared +
                  "{% set a = ns.v %}{% set ns.v = [1] %}{% for x in range(60) %}"
                  "{% set ns.v = [ns.v, ns.v] %}{% endfor %}{{ a == ns.v }}",
              "steps", limits);
}

TEST(TemplateLimitsTest, SearchingIsQuickWhateverIsSearched) {
  const std::string many(1'000'000, 'a');
  const OrderedJson variables = {{"text", many}, {"what", std::string(400'000, 'a') + "b"}};
  const auto start = std::chrono::steady_clock::now();

  for (const char* source :
       {"{{ what in text }}", "{{ text.find(what) }}", "{{ text.rfind(what) }}",
        "{{ text.split(what) | length }}", "{{ text.rsplit(what) | length }}",
        "{{ text.count(what) }}", "{{ text | replace(what, '') | length }}"}) {
    EXPECT_TRUE(Render(source, variables).ok()) << source;
  }
  ExpectLimit("{{ text.strip(what) | length }}", "steps", {}, variables);

  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(TemplateLimitsTest, NamespacesThatHoldThemselvesLeaveNothingBehind) {
  // The leak sanitizer is the judge.
  EXPECT_EQ(MustRender("{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.l = [ns] %}"
                       "{{ ns.self.self.l | length }}"),
            "1");
  EXPECT_EQ(MustRender("{% set ns = namespace() %}{% for x in [ns] %}{% set ns.loop = loop %}"
                       "{{ loop.changed(loop) }}{% endfor %}{{ ns.loop.index }}"),
            "True1");
  EXPECT_EQ(MustRender("{% set ns = namespace() %}{% for x in range(20000) %}"
                       "{% set n = namespace(of=ns.of) %}{% set ns.of = n %}{% endfor %}x"),
            "x");
}

}  // namespace
}  // namespace graft::templates
