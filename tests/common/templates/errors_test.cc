/// What a template gets wrong, or uses and isn't built, is told with line and column.
#include <gmock/gmock.h>

#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Fault {
  const char* source;
  const char* at;    ///< How the message begins.
  const char* what;  ///< A part of it.
};

TEST(ParseErrorsTest, EachIsToldWithItsPlaceWhenTheTemplateIsParsed) {
  const Fault faults[] = {
      {"{% nope %}", "line 1, column 4: ", "no statement \"nope\""},
      {"a\n {% include 'x' %}", "line 2, column 5: ", "\"include\" isn't built"},
      {"{% block x %}{% endblock %}", "line 1, column 4: ", "\"block\" isn't built"},
      {"{% extends 'x' %}", "line 1, column 4: ", "\"extends\" isn't built"},
      {"{% import 'x' as y %}", "line 1, column 4: ", "\"import\" isn't built"},
      {"{% from 'x' import y %}", "line 1, column 4: ", "\"from\" isn't built"},
      {"{% autoescape true %}{% endautoescape %}", "line 1, column 4: ", "isn't built"},
      {"{% print 1 %}", "line 1, column 4: ", "\"print\" isn't built"},
      {"{% do x %}", "line 1, column 4: ", "no statement \"do\""},
      {"{% for x in y recursive %}{% endfor %}", "line 1, column 15: ", "recursive loops"},
      {"\n\n{{ x | nope }}", "line 3, column 8: ", "no filter \"nope\""},
      {"{% if x %}{{ x | urlize }}{% endif %}", "line 1, column 18: ", "\"urlize\" isn't built"},
      {"{{ x is nope }}", "line 1, column 9: ", "no test \"nope\""},
      {"{% if x is escaped %}{% endif %}", "line 1, column 12: ", "\"escaped\" isn't built"},
      {"{{ nope(1) }}", "line 1, column 4: ", "no function \"nope\""},
      {"{% if x %}{{ lipsum() }}{% endif %}", "line 1, column 14: ", "\"lipsum\" isn't built"},
      {"{{ cycler }}", "line 1, column 4: ", "\"cycler\" isn't built"},
      {"{{ x.nope() }}", "line 1, column 5: ", "no method \"nope\""},
      {"{% if x %}{{ x.zfill(3) }}{% endif %}", "line 1, column 15: ", "\"zfill\" isn't built"},
      {"{{ x.__class__ }}", "line 1, column 6: ", "two underscores"},
      {"{{ x[1, 2] }}", "line 1, column 7: ", "several indices"},
      {"\u00e9\u00e9{{ x y }}", "line 1, column 8: ", "here should be }}, not \"y\""},
      {"{{ \u00e9 }}", "line 1, column 4: ", "no operator"},
      {"{{ a\u00e9 }}", "line 1, column 4: ", "ASCII's letters"},
      {"{{ x", "line 1, column 1: ", "no }}"},
      {"{% if x ", "line 1, column 1: ", "no %}"},
      {"{{ 'x }}", "line 1, column 4: ", "string has no end"},
      {"{{ (1] }}", "line 1, column 6: ", "nothing that this \"]\""},
      {"{# x", "line 1, column 1: ", "comment has no end"},
      {"{% raw %} x", "line 1, column 1: ", "no {% endraw %}"},
      {"a{% if x %}b", "line 1, column 12: ", "no {% endif %}"},
      {"{% for x in y %}{% endif %}", "line 1, column 20: ", "\"endif\""},
      {"{% break %}", "line 1, column 4: ", "stands in no loop"},
      {"{% for x in y %}{% generation %}{% continue %}{% endgeneration %}{% endfor %}",
       "line 1, column 36: ", "stands in no loop"},
      {"{% set 1 = 2 %}", "line 1, column 8: ", "nothing can be assigned"},
      {"{% macro m(caller) %}{% endmacro %}", "line 1, column 12: ", "named caller"},
      {"{% for x in y %}{% set loop = 1 %}{% endfor %}", "line 1, column 24: ", "`loop`"},
      {"{{ 9223372036854775808 }}", "line 1, column 4: ", "doesn't fit in 64 bits"},
      {"{{ '\\ud800' }}", "line 1, column 4: ", "no character"},
      {"{{ '\\N{DASH}' }}", "line 1, column 4: ", "isn't built"},
      {"{{ f(a=1, a=2) }}", "line 1, column 11: ", "given twice"},
      {"{% call x %}{% endcall %}", "line 1, column 9: ", "a call of a macro"},
  };
  for (const Fault& fault : faults) {
    const Status status = ChatTemplate::Parse(fault.source).status();
    ASSERT_FALSE(status.ok()) << fault.source;
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(ReasonOf(status), "TEMPLATE_SYNTAX");
    EXPECT_EQ(status.details()[0].field, "chat_template");
    EXPECT_THAT(status.message(), StartsWith("the chat template's " + std::string(fault.at)))
        << fault.source;
    EXPECT_THAT(status.message(), HasSubstr(fault.what)) << fault.source;
  }
}

TEST(ParseErrorsTest, ATemplateThatIsNoUtf8IsRefused) {
  EXPECT_THAT(ChatTemplate::Parse("a\xff").status().message(), HasSubstr("byte 1 "));
}

TEST(RenderErrorsTest, EachIsToldWithItsPlace) {
  const Fault faults[] = {
      {"a\n{{ [].y.z }}", "line 2, column 8: ", "\"y\" is undefined"},
      {"{{ 1 + 'a' }}", "line 1, column 4: ", "no int + str"},
      {"{% set x = 5 %}{% for i in x %}{% endfor %}", "line 1, column 19: ", "goes through a int"},
      {"{% macro m() %}\n{{ 1 // 0 }}{% endmacro %}{{ m() }}", "line 2, column 4: ", "by zero"},
      {"{{ 'x' | int(base=7) }}", "line 1, column 10: ", "base 7"},
      {"{% if true %}{{ 'x' | nope }}{% endif %}", "line 1, column 23: ", "no filter \"nope\""},
      {"{% if true %}{{ nope() }}{% endif %}", "line 1, column 21: ", "\"nope\" is undefined"},
      {"{{ range }}", "line 1, column 1: ", "prints a function"},
      {"{{ [1] | map('string') }}", "line 1, column 1: ", "make a list of it"},
      {"{{ strftime_now('%Y') }}", "line 1, column 16: ", "none is given"},
      {"{% set ns = namespace() %}{{ ns }}", "line 1, column 27: ", "prints a Namespace"},
      {"{{ '\u0395\u03a3' | lower }}", "line 1, column 11: ", "sigma"},
      {"{{ '\u00e9'.isalpha() }}", "line 1, column 15: ", "aren't ASCII's"},
      {"{{ 9223372036854775807 + 1 }}", "line 1, column 4: ", "64 bits"},
      {"{{ 2 ** 64 }}", "line 1, column 4: ", "64 bits"},
      {"{% set ns = namespace() %}{% for x in [1] %}{% macro m() %}{% endmacro %}"
       "{% set ns.m = m %}{% endfor %}{{ ns.m() }}",
       "line 1, column 111: ", "outside of the block"},
  };
  for (const Fault& fault : faults) {
    const Status status = Render(fault.source).status();
    ASSERT_FALSE(status.ok()) << fault.source;
    EXPECT_EQ(ReasonOf(status), "TEMPLATE_FAILED") << fault.source;
    EXPECT_THAT(status.message(), StartsWith("the chat template's " + std::string(fault.at)))
        << fault.source;
    EXPECT_THAT(status.message(), HasSubstr(fault.what)) << fault.source;
  }
}

TEST(RenderErrorsTest, TheTemplatesOwnRefusalIsToldInQuotes) {
  const Status status =
      Render("{{ raise_exception('Roles must\\nalternate: ' ~ role) }}", {{"role", "\u202euser"}})
          .status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), "TEMPLATE_REFUSED");
  EXPECT_EQ(status.message(),
            "the chat template's line 1, column 19: the template refuses this conversation: "
            "\"Roles must\\nalternate: \\u202euser\"");
}

}  // namespace
}  // namespace graft::templates
