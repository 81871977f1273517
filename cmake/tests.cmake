# tests/FOLDER/*.cpp -> test_FOLDER, one executable a folder.
#
# A folder named after a room is linked to that room and what lies below it; every other folder (conformance, golden,
# learning, ...) and those in `links_all` to everything. tests/support goes into all of them. tests/learning is `slow`:
# `ctest -LE slow` leaves it out.
include(GoogleTest)
set(links_all replay experiments)
set(time_limit 600)  # seconds a test
if(MNEME_SANITIZE)
  set(time_limit 3600)
endif()
set(test_flags $<$<CONFIG:Release>:-Og>)  # half the build: what is tested has the flags of its room

# Where the sources and the program are: in a header, so that only the files that ask depend on it.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/tests/places.hpp CONTENT
"// Room: tests. Where the sources and the program under test are.
#pragma once
#define MNEME_SOURCE_DIR \"@PROJECT_SOURCE_DIR@\"
#define MNEME_PROGRAM \"@PROJECT_BINARY_DIR@/mneme\"
" @ONLY)

file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
if(support)
  add_library(mneme_test_support STATIC ${support})
  target_link_libraries(mneme_test_support PUBLIC mneme::nn GTest::gtest)
  target_compile_options(mneme_test_support PRIVATE ${test_flags})
else()
  add_library(mneme_test_support INTERFACE)
  target_link_libraries(mneme_test_support INTERFACE mneme::core)
endif()

file(GLOB test_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/tests/*/*.cpp)
set(folders "")
foreach(source ${test_sources})
  get_filename_component(folder ${source} DIRECTORY)
  if(NOT folder STREQUAL support)
    list(APPEND folders ${folder})
    list(APPEND sources_of_${folder} ${PROJECT_SOURCE_DIR}/tests/${source})
  endif()
endforeach()
list(REMOVE_DUPLICATES folders)

foreach(folder ${folders})
  set(target test_${folder})
  add_executable(${target} ${sources_of_${folder}})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${target} PRIVATE mneme_test_support GTest::gtest_main GTest::gtest)
  target_compile_options(${target} PRIVATE ${test_flags})
  if(folder IN_LIST rooms AND NOT folder IN_LIST links_all)
    target_link_libraries(${target} PRIVATE mneme::${folder})
  elseif(NOT folder STREQUAL arrows)
    target_link_libraries(${target} PRIVATE mneme::experiments mneme::replay)
  endif()
  target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR}/generated/tests)
  if(TARGET mneme)
    add_dependencies(${target} mneme)
  endif()
  if(folder STREQUAL learning)
    set(properties LABELS slow TIMEOUT 7200)
  else()
    set(properties LABELS ${folder} TIMEOUT ${time_limit})
  endif()
  gtest_discover_tests(${target} TEST_PREFIX ${folder}: DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/tests PROPERTIES ${properties})
endforeach()

# tests/faults runs the program under a library that kills it, or fills its disk, at a chosen call. The long form, with a
# hundred kills, is `slow`.
if(TARGET test_faults)
  add_library(mneme_faults MODULE ${PROJECT_SOURCE_DIR}/tests/faults/preload/calls.cpp)
  target_include_directories(mneme_faults PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(mneme_faults PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(test_faults mneme_faults)
  target_sources(test_faults PRIVATE ${PROJECT_SOURCE_DIR}/tests/tools/program.cpp)
  target_compile_definitions(test_faults PRIVATE MNEME_FAULTS_LIBRARY="$<TARGET_FILE:mneme_faults>")
  add_test(NAME faults:long COMMAND test_faults)
  set_tests_properties(faults:long PROPERTIES LABELS slow TIMEOUT 7200 ENVIRONMENT MNEME_KILLS=100)
endif()

# The tasks and models that exist in the tests alone are trained in one folder and held to their contract in the other.
if(TARGET test_experiments AND TARGET test_conformance)
  target_sources(test_experiments PRIVATE ${PROJECT_SOURCE_DIR}/tests/conformance/graph_model.cpp)
  target_sources(test_conformance PRIVATE ${PROJECT_SOURCE_DIR}/tests/experiments/toy_graph.cpp
    ${PROJECT_SOURCE_DIR}/tests/experiments/toy_items.cpp ${PROJECT_SOURCE_DIR}/tests/experiments/toy_route.cpp)
endif()

# What help and README.md tell people to type, with nothing cut short, takes hours: `slow`.
if(TARGET test_tools)
  add_test(NAME tools:examples-whole COMMAND test_tools --gtest_filter=Examples.*)
  set_tests_properties(tools:examples-whole PROPERTIES LABELS slow TIMEOUT 43200 ENVIRONMENT MNEME_EXAMPLES=whole)
endif()

# What CONTRIBUTING.md shows, file by file ("Save this as `memory/ring.cpp`"), is compiled into the conformance suite, so
# the page cannot go stale; not where somebody follows the page and has the file already.
if(TARGET test_conformance)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md)
  file(READ ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md page)
  string(FIND "${page}" "```cpp\n" begin)
  while(NOT begin EQUAL -1)
    string(SUBSTRING "${page}" 0 ${begin} path)
    string(FIND "${path}" "Save this as `" named REVERSE)
    if(named EQUAL -1)
      message(FATAL_ERROR "CONTRIBUTING.md: a ```cpp block without a line that says: Save this as `ROOM/FILE.cpp`")
    endif()
    math(EXPR named "${named} + 14")
    string(SUBSTRING "${path}" ${named} -1 path)
    string(FIND "${path}" "`" end)
    string(SUBSTRING "${path}" 0 ${end} path)
    math(EXPR begin "${begin} + 7")
    string(SUBSTRING "${page}" ${begin} -1 page)
    string(FIND "${page}" "\n```" end)
    string(SUBSTRING "${page}" 0 ${end} code)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${path})
      string(MAKE_C_IDENTIFIER "${path}" name)
      file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/contributing_${name}.cpp CONTENT "${code}\n" @ONLY)
      target_sources(test_conformance PRIVATE ${PROJECT_BINARY_DIR}/generated/contributing_${name}.cpp)
    endif()
    string(FIND "${page}" "```cpp\n" begin)
  endwhile()
endif()
