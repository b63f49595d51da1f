# Writes OUTPUT, a header that names the commit the tree is at; only if that has changed. CPROTO_COMMIT in the environment says it
# where there is no repository.
cmake_minimum_required(VERSION 3.25)
set(commit "$ENV{CPROTO_COMMIT}")
if(commit STREQUAL "")
  execute_process(COMMAND git describe --always --dirty --abbrev=7 --exclude=* WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define CPROTO_COMMIT \"@commit@\"\n" @ONLY)
