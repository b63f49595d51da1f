# Runs cproto-bench with small counts, for people and for programs, and reads what it says.
set(ENV{TMPDIR} ${DIRECTORY})

# Runs it with the arguments (a list) and looks for metrics that are more than nothing.
function(expect_figures arguments)
  execute_process(COMMAND ${BENCH} ${arguments} --runs 1 --json
                  OUTPUT_VARIABLE json ERROR_VARIABLE trouble RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "cproto-bench ${arguments} ended with ${status}: ${trouble}")
  endif()
  foreach(metric ${ARGN})
    string(REPLACE "." ";" path ${metric})
    string(JSON median GET "${json}" works ${path} median)
    if(NOT median GREATER 0)
      message(FATAL_ERROR "${metric} is ${median}")
    endif()
  endforeach()
endfunction()

expect_figures("--work;throughput,latency,file,fairness;--count;200;--size;100;--connections;2;--file-size;200000000"
  0.metrics.messages_per_second 1.metrics.cproto_p50_us 1.metrics.pingpong_p50_us 1.metrics.sync_p50_us
  2.metrics.cproto_megabytes_per_second 2.metrics.dd_megabytes_per_second 3.metrics.beside_file_p99_us)
# The others, with what they start beside.
expect_figures("--work;W3,W5,W6,W7,client,limits;--scale;0.001"
  0.metrics.ratio_to_bare 4.metrics.p99_in_batches 5.metrics.bytes_per_connection
  6.metrics.gibibytes_per_second 7.metrics.ratio_to_bench 8.metrics.crc32_111_gigabytes_per_second)

execute_process(COMMAND ${BENCH} --work throughput --count 50 --size 1000 --packet 300 --window 7 --runs 1
                OUTPUT_VARIABLE text ERROR_VARIABLE trouble RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR NOT text MATCHES "messages/s")
  message(FATAL_ERROR "cproto-bench ended with ${status}: ${text}${trouble}")
endif()
