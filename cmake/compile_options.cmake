# Compiler settings shared by every target, and the two functions that declare a room and its tests.

add_library(turnpike_options INTERFACE)
target_include_directories(turnpike_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(turnpike_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers)
if(TURNPIKE_WERROR)
  target_compile_options(turnpike_options INTERFACE -Werror)
endif()
if(TURNPIKE_SANITIZE)
  target_compile_options(turnpike_options INTERFACE
    -fsanitize=${TURNPIKE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(turnpike_options INTERFACE -fsanitize=${TURNPIKE_SANITIZE})
  # The tests' own files are watched for memory errors only: the rest costs a fifth of their build.
  target_compile_options(turnpike_options INTERFACE
    $<$<BOOL:$<TARGET_PROPERTY:TURNPIKE_TEST>>:-fno-sanitize=undefined>)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(turnpike_options INTERFACE _FORTIFY_SOURCE=2)
  target_compile_options(turnpike_options INTERFACE
    -fstack-protector-strong -fstack-clash-protection
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},aarch64>:-mbranch-protection=standard>)
  target_link_options(turnpike_options INTERFACE -Wl,-z,relro,-z,now -pie)
endif()

# turnpike_precompile(TARGET HEADER): what a target's files include of the standard library and of other
# projects is read once. Only where sanitizers are built: there builds are slow, and the release
# build, which has no such help, shows that each file includes what it uses.
function(turnpike_precompile target header)
  if(TURNPIKE_SANITIZE)
    target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/${header})
  endif()
endfunction()

# turnpike_room(NAME SOURCES a.cc b.cc [PUBLIC libraries...] [PRIVATE libraries...])
function(turnpike_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(turnpike_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(turnpike_${name}
    PUBLIC turnpike_options ${ROOM_PUBLIC} PRIVATE ${ROOM_PRIVATE})
  turnpike_precompile(turnpike_${name} precompiled.h)
endfunction()

# turnpike_test(NAME SOURCES a_test.cc [LINK libraries...] [SHARDS n]): a GoogleTest program run by
# ctest, a long one in shards side by side. What tests/CMakeLists.txt precompiled serves all programs
# that are compiled like it.
function(turnpike_test name)
  cmake_parse_arguments(TEST "" "SHARDS" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES TURNPIKE_TEST ON)
  target_link_libraries(${name} PRIVATE ${TEST_LINK} turnpike_options GTest::gmock GTest::gtest_main)
  if(TARGET turnpike_test_headers AND NOT TURNPIKE_OPTIMISED_TESTS)
    target_precompile_headers(${name} REUSE_FROM turnpike_test_headers)
  else()
    turnpike_precompile(${name} precompiled_test.h)
  endif()
  if(NOT TEST_SHARDS)
    add_test(NAME ${name} COMMAND ${name})
    return()
  endif()
  foreach(shard RANGE 1 ${TEST_SHARDS})
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name}_${shard} COMMAND ${name})
    # The cost: what is long is begun first, or the end would wait for it alone. The output, where
    # tools/test asks for one: a file for each shard, by the test's name.
    set_tests_properties(${name}_${shard} PROPERTIES COST 1000
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${TEST_SHARDS};GTEST_SHARD_INDEX=${index}"
      ENVIRONMENT_MODIFICATION "GTEST_OUTPUT=string_append:${name}_${shard}.xml")
  endforeach()
endfunction()
