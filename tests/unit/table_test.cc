#include "daemon/table.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("table: texts are left, figures right, headings above") {
  Table table({"client", "in_flight"});
  table.add({text_cell("web-1"), number_cell(7)});
  table.add({text_cell("a-client"), number_cell(81004)});
  CHECK(table.text() ==
        "CLIENT    IN FLIGHT\n"
        "web-1             7\n"
        "a-client     81,004\n");
}

TEST_CASE("table: for programs it is an array of objects, with plain figures") {
  Table table({"client", "bytes", "for", "rate"});
  CHECK(table.json() == "[]\n");
  table.add({text_cell("web\"1"), bytes_cell(2048), duration_cell(1500ms), rate_cell(2.5)});
  CHECK(table.json() == R"([{"client":"web\"1","bytes":2048,"for":1.500,"rate":2.500}])"
                        "\n");
}

TEST_CASE("table: what is not there is a dash for people and empty for programs") {
  Table table({"peer"});
  table.add({text_cell("")});
  CHECK(table.text() == "PEER\n-\n");
  CHECK(table.json() == "[{\"peer\":\"\"}]\n");
}

TEST_CASE("table: figures for people have units") {
  CHECK(bytes_cell(100'000).shown == "97.7 KiB");
  CHECK(duration_cell(12s).shown == "12 s");
  CHECK(rate_cell(0).shown == "0/s");
  CHECK(rate_cell(0.25).shown == "0.2/s");
  CHECK(rate_cell(81004).shown == "81,004/s");
}

TEST_CASE("details: one name and figure to a line") {
  Details details;
  details.add("state", text_cell("well")).add("running_for", duration_cell(2s)).add("pid", figure_cell("812", 812));
  details.add("store", other_cell("/s (id 1)", "/s"));
  CHECK(details.text() ==
        "state        well\n"
        "running for  2 s\n"
        "pid          812\n"
        "store        /s (id 1)\n");
  CHECK(details.json() == "{\"state\":\"well\",\"running_for\":2.000,\"pid\":812,\"store\":\"/s\"}\n");
}
